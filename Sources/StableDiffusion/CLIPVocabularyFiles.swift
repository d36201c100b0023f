import Foundation
import Tensor

/// A tokenizer's vocabulary and merges as its folder holds them: in `vocab.json` and `merges.txt`, or
/// in `tokenizer.json` alone, which is all that transformers writes since version 5.
struct CLIPVocabularyFiles {
  let vocabulary: [String: Int]
  /// Pairs of tokens, the first to be merged first.
  let merges: [(left: String, right: String)]
  /// For messages.
  let vocabularyPath, mergesPath: String

  init(folder: URL) throws {
    let (vocabularyURL, mergesURL, bothURL) = (
      folder.appending(path: "vocab.json"), folder.appending(path: "merges.txt"),
      folder.appending(path: "tokenizer.json")
    )
    let bothPath = bothURL.path(percentEncoded: false)
    if !FileManager.default.fileExists(atPath: vocabularyURL.path(percentEncoded: false)),
      FileManager.default.fileExists(atPath: bothPath)
    {
      guard let data = RegularFile.contents(of: bothURL),
        let file = try? JSONDecoder().decode(Both.self, from: data),
        file.model.type ?? "BPE" == "BPE"
      else {
        throw ModelError(
          "\(bothPath) is not a tokenizer of byte pairs, with its vocabulary and merges")
      }
      (vocabulary, merges) = (file.model.vocab, file.model.merges.map { ($0.left, $0.right) })
      (vocabularyPath, mergesPath) = (bothPath, bothPath)
      return
    }
    vocabularyPath = vocabularyURL.path(percentEncoded: false)
    mergesPath = mergesURL.path(percentEncoded: false)
    guard let data = RegularFile.contents(of: vocabularyURL),
      let vocabulary = try? JSONDecoder().decode([String: Int].self, from: data)
    else {
      throw ModelError("\(vocabularyPath) is missing or does not map tokens to numbers")
    }
    guard let data = RegularFile.contents(of: mergesURL),
      let text = String(data: data, encoding: .utf8)
    else {
      throw ModelError("\(mergesPath) is missing or is not UTF-8 text")
    }
    self.vocabulary = vocabulary
    let lines = text.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("#version") }
    merges = try lines.map { [mergesPath] line in
      guard let pair = Pair(String(line)) else {
        throw ModelError("\(mergesPath): '\(line)' is not a pair of tokens of vocab.json")
      }
      return (pair.left, pair.right)
    }
  }

  private struct Both: Decodable {
    struct Model: Decodable {
      let type: String?
      let vocab: [String: Int]
      let merges: [Pair]
    }
    let model: Model
  }

  /// Two texts, or one with a space between them, as earlier versions wrote it.
  private struct Pair: Decodable {
    let left, right: String

    init?(_ text: String) {
      let parts = text.split(separator: " ")
      guard parts.count == 2 else { return nil }
      (left, right) = (String(parts[0]), String(parts[1]))
    }

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let text = try? container.decode(String.self), let pair = Pair(text) {
        self = pair
        return
      }
      let parts = try container.decode([String].self)
      guard parts.count == 2 else {
        throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(parts)")
      }
      (left, right) = (parts[0], parts[1])
    }
  }
}

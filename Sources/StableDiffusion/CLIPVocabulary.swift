import CCLIPMerges
import Foundation

/// CLIP's tokens, and which two neighbouring symbols of a word become one, in which order.
struct CLIPVocabulary: Sendable {
  struct Pair: Hashable { let left, right: Int }

  let ids: [String: Int]
  /// The rank and the result of merging two neighbouring symbols.
  let merges: [Pair: (rank: Int, merged: Int)]

  /// One more than the largest id.
  var size: Int { (ids.values.max() ?? -1) + 1 }

  /// From `vocab.json` and `merges.txt`.
  ///
  /// - Throws: `ModelError`, which names the file and what is wrong with it.
  init(folder: URL) throws {
    let vocabularyURL = folder.appending(path: "vocab.json")
    guard let data = try? Data(contentsOf: vocabularyURL),
      let ids = try? JSONDecoder().decode([String: Int].self, from: data)
    else {
      throw ModelError(
        "\(vocabularyURL.path(percentEncoded: false)) is missing or does not map tokens to numbers")
    }
    let mergesURL = folder.appending(path: "merges.txt")
    guard let text = try? String(contentsOf: mergesURL, encoding: .utf8) else {
      throw ModelError("\(mergesURL.path(percentEncoded: false)) is missing or is not UTF-8 text")
    }
    if let (token, id) = ids.first(where: { !(0..<1 << 24).contains($0.value) }) {
      throw ModelError(
        "\(vocabularyURL.path(percentEncoded: false)): '\(token)' has the number \(id)")
    }
    let lines = text.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("#version") }
    try self.init(ids, merges: lines) {
      ModelError("\(mergesURL.path(percentEncoded: false)) \($0)")
    }
  }

  /// The one of 49,408 tokens that all Stable Diffusion models have, which comes with the program.
  static let builtIn: CLIPVocabulary = {
    let bytes = UnsafeRawBufferPointer(start: clip_merges(), count: clip_merges_count())
    let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
    let tokens =
      byteSymbols + byteSymbols.map { $0 + wordEnd }
      + lines.map { $0.replacingOccurrences(of: " ", with: "") }
      + ["<|startoftext|>", "<|endoftext|>"]
    do {
      return try CLIPVocabulary(
        Dictionary(uniqueKeysWithValues: zip(tokens, tokens.indices)), merges: lines
      ) { ModelError("the vocabulary of this program \($0)") }
    } catch { preconditionFailure("\(error)") }
  }()

  private init(
    _ ids: [String: Int], merges lines: [Substring], wrong: (String) -> ModelError
  ) throws {
    guard !lines.isEmpty else { throw wrong("holds no merges") }
    var merges: [Pair: (rank: Int, merged: Int)] = [:]
    for (rank, line) in lines.enumerated() {
      let parts = line.split(separator: " ")
      guard parts.count == 2, let left = ids[String(parts[0])], let right = ids[String(parts[1])],
        let merged = ids[String(parts[0] + parts[1])]
      else { throw wrong("holds '\(line)', which is not a pair of tokens of the vocabulary") }
      let pair = Pair(left: left, right: right)
      if merges[pair] == nil { merges[pair] = (rank, merged) }
    }
    (self.ids, self.merges) = (ids, merges)
  }

  /// What a word's last symbol ends with.
  static let wordEnd = "</w>"

  /// A printable character for each byte, as in GPT-2: the printable ones stand for themselves, the
  /// others for characters from U+0100 on.
  static func symbol(of byte: UInt8) -> String { symbols[Int(byte)] }

  private static let symbols: [String] = {
    var next: UInt32 = 0x100
    return (UInt32(0)..<256).map { byte in
      let isPrintable = isPrintable(byte)
      defer { if !isPrintable { next += 1 } }
      return Unicode.Scalar(isPrintable ? byte : next).map { String(Character($0)) } ?? ""
    }
  }()

  /// In the order of their ids.
  private static var byteSymbols: [String] {
    let bytes = (UInt8.min...UInt8.max)
    return bytes.filter { isPrintable(UInt32($0)) }.map(symbol)
      + bytes.filter { !isPrintable(UInt32($0)) }.map(symbol)
  }

  private static func isPrintable(_ byte: UInt32) -> Bool {
    (33...126).contains(byte) || (161...172).contains(byte) || (174...255).contains(byte)
  }
}

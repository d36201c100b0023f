import Foundation

/// CLIP's tokenizer: byte-level byte-pair encoding, as `transformers.CLIPTokenizer` does it.
public struct CLIPTokenizer: Sendable {
  /// The number of ids that `encode` gives.
  public let length: Int
  public let vocabularySize: Int

  private let vocabulary: [String: Int]
  /// The rank and the result of merging two neighbouring symbols.
  private let merges: [Pair: (rank: Int, merged: Int)]
  /// Texts that stand for one id wherever they occur in a prompt, longest first; with `!` for
  /// padding (2.x), every `!` is one.
  private let special: [(text: [Unicode.Scalar], id: Int)]
  private let start, end, unknown, padding: Int

  private struct Pair: Hashable { let left, right: Int }

  /// - Parameter longest: how many positions the text encoder has; the tokenizer's own limit
  ///   applies where it is lower.
  init(folder: URL, longest: Int) throws {
    let configuration = try ComponentConfiguration(folder.appending(path: "tokenizer_config.json"))
    let files = try CLIPVocabularyFiles(folder: folder)
    let vocabulary = files.vocabulary
    if let (token, id) = vocabulary.first(where: { !(0..<1 << 24).contains($0.value) }) {
      throw ModelError("\(files.vocabularyPath): '\(token)' has the number \(id)")
    }
    var merges: [Pair: (rank: Int, merged: Int)] = [:]
    for (rank, pair) in files.merges.enumerated() {
      guard let left = vocabulary[pair.left], let right = vocabulary[pair.right],
        let merged = vocabulary[pair.left + pair.right]
      else {
        throw ModelError(
          "\(files.mergesPath): '\(pair.left) \(pair.right)' is not a pair of tokens of the vocabulary"
        )
      }
      if merges[Pair(left: left, right: right)] == nil {
        merges[Pair(left: left, right: right)] = (rank, merged)
      }
    }
    guard !merges.isEmpty else {
      throw ModelError("\(files.mergesPath) holds no merges")
    }
    // transformers lets this file win over the config.
    let mapURL = folder.appending(path: "special_tokens_map.json")
    let map =
      FileManager.default.fileExists(atPath: mapURL.path(percentEncoded: false))
      ? try ComponentConfiguration(mapURL) : configuration
    func token(_ key: String, _ fallback: String) throws -> (String, Int) {
      let file = map.has(key) ? map : configuration
      let text = try file.token(key, default: fallback)
      guard !text.isEmpty, let id = vocabulary[text] else {
        throw file.wrong(key, "is '\(text)', which the vocabulary does not have")
      }
      return (text, id)
    }
    let (startToken, endToken) = (
      try token("bos_token", "<|startoftext|>"), try token("eos_token", "<|endoftext|>")
    )
    let (unknownToken, paddingToken) = (
      try token("unk_token", "<|endoftext|>"), try token("pad_token", "<|endoftext|>")
    )
    (start, end, unknown, padding) = (startToken.1, endToken.1, unknownToken.1, paddingToken.1)
    special = [startToken, endToken, unknownToken, paddingToken].map {
      (text: Array($0.0.unicodeScalars), id: $0.1)
    }.sorted { $0.text.count > $1.text.count }
    // Some folders write a number beyond 64 bits for "no limit".
    length = min((try? configuration.size("model_max_length")) ?? longest, longest)
    guard length >= 2 else {
      throw configuration.wrong("model_max_length", "leaves no room for a prompt")
    }
    self.vocabulary = vocabulary
    self.merges = merges
    vocabularySize = (vocabulary.values.max() ?? -1) + 1
  }

  /// The ids of a prompt: start, tokens (as many as fit), end, padding; always `length` of them.
  public func encode(_ prompt: String) -> [Int] {
    let tokens = tokens(of: prompt).prefix(length - 2)
    let ids = [start] + tokens + [end]
    return ids + Array(repeating: padding, count: length - ids.count)
  }

  /// The words of a prompt, as white space divides it, and where their ids are in `encode`'s; a word
  /// that does not fit has no place. The ids between start and end are those of the words.
  public func words(of prompt: String) -> [(text: String, positions: Range<Int>)] {
    var next = 1
    return prompt.unicodeScalars.split { $0.properties.isWhitespace }.map { scalars in
      let text = String(String.UnicodeScalarView(scalars))
      let first = next
      next = min(next + tokens(of: text).count, length - 1)
      return (text, first..<next)
    }
  }

  /// How many tokens a prompt has, also those that do not fit.
  public func tokenCount(of prompt: String) -> Int { tokens(of: prompt).count }

  /// How many tokens of a prompt fit.
  public var capacity: Int { length - 2 }

  private func tokens(of prompt: String) -> [Int] {
    var ids: [Int] = []
    // Scalars, not characters: a special token is one also where a combining mark follows.
    var rest = Array(prompt.unicodeScalars)[...]
    var plain = String.UnicodeScalarView()
    while let first = rest.first {
      if let (text, id) = special.first(where: { rest.starts(with: $0.text) }) {
        ids += words(of: String(plain)).flatMap(mergedTokens)
        plain = String.UnicodeScalarView()
        ids.append(id)
        rest = rest.dropFirst(text.count)
      } else {
        plain.append(first)
        rest = rest.dropFirst()
      }
    }
    return ids + words(of: String(plain)).flatMap(mergedTokens)
  }

  /// Splits normalised text into contractions, runs of letters, single digits and runs of anything
  /// else but white space.
  private func words(of text: String) -> [[Unicode.Scalar]] {
    let scalars = text.precomposedStringWithCanonicalMapping.unicodeScalars.flatMap {
      Array($0.properties.lowercaseMapping.unicodeScalars)
    }
    var words: [[Unicode.Scalar]] = []
    var position = 0
    while position < scalars.count {
      let first = scalars[position]
      if first.properties.isWhitespace {
        position += 1
        continue
      }
      var end = position + 1
      if let contraction = Self.contractions.first(where: { scalars[position...].starts(with: $0) })
      {
        end = position + contraction.count
      } else if first.isLetter {
        while end < scalars.count, scalars[end].isLetter { end += 1 }
      } else if !first.isNumber {
        while end < scalars.count, !scalars[end].isLetter, !scalars[end].isNumber,
          !scalars[end].properties.isWhitespace
        { end += 1 }
      }
      words.append(Array(scalars[position..<end]))
      position = end
    }
    return words
  }

  private static let contractions = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"].map {
    Array($0.unicodeScalars)
  }

  /// Byte-pair encoding of one word: the pair of lowest rank is merged, wherever it occurs, until
  /// none is left. A merge makes only pairs of higher ranks, so the order is that of the ranks.
  private func mergedTokens(of word: [Unicode.Scalar]) -> [Int] {
    let bytes = word.flatMap { Array(String($0).utf8) }
    var symbols = bytes.enumerated().map { index, byte in
      vocabulary[Self.alphabet[Int(byte)] + (index == bytes.count - 1 ? "</w>" : "")] ?? unknown
    }
    while true {
      let pairs = zip(symbols, symbols.dropFirst()).map { Pair(left: $0, right: $1) }
      guard
        let best = pairs.compactMap({ merges[$0] }).min(by: { $0.rank < $1.rank })
      else { return symbols }
      var merged: [Int] = []
      var position = 0
      while position < symbols.count {
        if position < pairs.count, merges[pairs[position]]?.rank == best.rank {
          merged.append(best.merged)
          position += 2
        } else {
          merged.append(symbols[position])
          position += 1
        }
      }
      symbols = merged
    }
  }

  /// A printable character for each byte, as in GPT-2: the printable ones stand for themselves, the
  /// others for characters from U+0100 on.
  private static let alphabet: [String] = {
    var next: UInt32 = 0x100
    return (UInt32(0)..<256).map { byte in
      let printable =
        (33...126).contains(byte) || (161...172).contains(byte) || (174...255).contains(byte)
      defer { if !printable { next += 1 } }
      return Unicode.Scalar(printable ? byte : next).map { String(Character($0)) } ?? ""
    }
  }()
}

extension Unicode.Scalar {
  fileprivate var isLetter: Bool {
    switch properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
    default: false
    }
  }

  fileprivate var isNumber: Bool {
    switch properties.generalCategory {
    case .decimalNumber, .letterNumber, .otherNumber: true
    default: false
    }
  }
}

import Foundation

/// CLIP's tokenizer: byte-level byte-pair encoding, as `transformers.CLIPTokenizer` does it. Characters
/// that are newer than this Swift's tables of Unicode may fall to other kinds of words than there.
public struct CLIPTokenizer: Sendable {
  /// The number of ids that `encode` gives.
  public let length: Int
  public let vocabularySize: Int

  private let vocabulary: CLIPVocabulary
  /// Texts that stand for one id wherever they occur in a prompt, longest first; with `!` for
  /// padding (2.x), every `!` is one.
  private let special: [(text: [Unicode.Scalar], id: Int)]
  private let start, end, unknown, padding: Int

  /// - Parameter longest: how many positions the text encoder has; the tokenizer's own limit
  ///   applies where it is lower.
  init(folder: URL, longest: Int) throws {
    let configuration = try ComponentConfiguration(folder.appending(path: "tokenizer_config.json"))
    let vocabulary = try CLIPVocabulary(CLIPVocabularyFiles(folder: folder))
    // transformers lets this file win over the config.
    let mapURL = folder.appending(path: "special_tokens_map.json")
    let map =
      FileManager.default.fileExists(atPath: mapURL.path(percentEncoded: false))
      ? try ComponentConfiguration(mapURL) : configuration
    func token(_ key: String, _ fallback: String) throws -> String {
      let file = map.has(key) ? map : configuration
      let text = try file.token(key, default: fallback)
      guard !text.isEmpty, vocabulary.ids[text] != nil else {
        throw file.wrong(key, "is '\(text)', which the vocabulary does not have")
      }
      return text
    }
    // Some folders write a number beyond 64 bits for "no limit".
    let length = min((try? configuration.size("model_max_length")) ?? longest, longest)
    guard length >= 2 else {
      throw configuration.wrong("model_max_length", "leaves no room for a prompt")
    }
    self.init(
      vocabulary, start: try token("bos_token", Self.startOfText),
      end: try token("eos_token", Self.endOfText), unknown: try token("unk_token", Self.endOfText),
      padding: try token("pad_token", Self.endOfText), length: length)
  }

  /// The tokenizer of all Stable Diffusion models, for those that come without one.
  ///
  /// - Parameters:
  ///   - padding: `<|endoftext|>` for 1.x, `!` for 2.x.
  ///   - length: how many positions the text encoder has, 2 at least.
  public init(builtInWithPadding padding: Padding, length: Int) {
    self.init(
      .builtIn, start: Self.startOfText, end: Self.endOfText, unknown: Self.endOfText,
      padding: padding.rawValue, length: length)
  }

  /// What fills short prompts up.
  public enum Padding: String, Sendable {
    case endOfText = "<|endoftext|>"
    case exclamationMark = "!"
  }

  private static let (startOfText, endOfText) = ("<|startoftext|>", "<|endoftext|>")

  /// The four tokens are of the vocabulary.
  private init(
    _ vocabulary: CLIPVocabulary, start: String, end: String, unknown: String, padding: String,
    length: Int
  ) {
    func id(_ token: String) -> Int {
      guard let id = vocabulary.ids[token] else {
        preconditionFailure("'\(token)' is of the vocabulary")
      }
      return id
    }
    (self.start, self.end) = (id(start), id(end))
    (self.unknown, self.padding) = (id(unknown), id(padding))
    special = [start, end, unknown, padding].map {
      (text: Array($0.unicodeScalars), id: id($0))
    }.sorted { $0.text.count > $1.text.count }
    self.length = length
    self.vocabulary = vocabulary
    vocabularySize = vocabulary.size
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

  /// What a prompt says beyond the tokens that fit, from the first word on that does not fit whole;
  /// `nil` where all of it fits.
  public func cut(from prompt: String) -> Substring? {
    var room = capacity
    let scalars = prompt.unicodeScalars
    for word in scalars.split(whereSeparator: \.properties.isWhitespace) {
      room -= tokens(of: String(word)).count
      if room < 0 { return prompt[word.startIndex...] }
    }
    return nil
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
  /// else but white space. A special token that only now, in small letters, reads as one is three
  /// words, but ends the run that it begins.
  private func words(of text: String) -> [[Unicode.Scalar]] {
    let scalars = text.precomposedForCLIP.flatMap {
      Array($0.properties.lowercaseMapping.unicodeScalars)
    }
    var words: [[Unicode.Scalar]] = []
    var position = 0
    func add(upTo end: Int) {
      words.append(Array(scalars[position..<end]))
      position = end
    }
    while position < scalars.count {
      let first = scalars[position]
      let rest = scalars[position...]
      if first.properties.isWhitespace {
        position += 1
      } else if let token = Self.lowercaseSpecial.first(where: { rest.starts(with: $0) }) {
        let end = position + token.count
        add(upTo: position + 2)
        add(upTo: end - 2)
        add(upTo: end)
      } else if let contraction = Self.contractions.first(where: { rest.starts(with: $0) }) {
        add(upTo: position + contraction.count)
      } else if first.isNumber {
        add(upTo: position + 1)
      } else {
        let isSame: (Unicode.Scalar) -> Bool =
          first.isLetter
          ? { $0.isLetter } : { !$0.isLetter && !$0.isNumber && !$0.properties.isWhitespace }
        add(upTo: rest.firstIndex { !isSame($0) } ?? scalars.count)
      }
    }
    return words
  }

  private static let contractions = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"].map {
    Array($0.unicodeScalars)
  }

  private static let lowercaseSpecial = [startOfText, endOfText].map { Array($0.unicodeScalars) }

  /// Byte-pair encoding of one word: the pair of lowest rank is merged, wherever it occurs, until
  /// none is left. A merge makes only pairs of higher ranks, so the order is that of the ranks.
  private func mergedTokens(of word: [Unicode.Scalar]) -> [Int] {
    let bytes = word.flatMap { Array(String($0).utf8) }
    var symbols = bytes.enumerated().map { index, byte -> Int in
      let isLast = index == bytes.count - 1
      return vocabulary.ids[
        CLIPVocabulary.symbol(of: byte) + (isLast ? CLIPVocabulary.wordEnd : "")] ?? unknown
    }
    while true {
      let pairs = zip(symbols, symbols.dropFirst()).map { CLIPVocabulary.Pair(left: $0, right: $1) }
      guard
        let best = pairs.compactMap({ vocabulary.merges[$0] }).min(by: { $0.rank < $1.rank })
      else { return symbols }
      var merged: [Int] = []
      var position = 0
      while position < symbols.count {
        if position < pairs.count, vocabulary.merges[pairs[position]]?.rank == best.rank {
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

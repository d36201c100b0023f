import Foundation

/// CLIP's tokenizer: byte-level byte-pair encoding, with the ids that `transformers.CLIPTokenizer` (5.23)
/// gives.
public struct CLIPTokenizer: Sendable {
  /// The number of ids that `encode` gives.
  public let length: Int
  public let vocabularySize: Int

  private let encoding: BytePairEncoding
  private let added: AddedTokens
  private let start, padding: Int
  /// The id after the last token.
  let end: Int

  /// - Parameter longest: how many positions the text encoder has; the tokenizer's own limit
  ///   applies where it is lower.
  init(folder: URL, longest: Int) throws {
    let configuration = try TokenizerConfiguration(folder)
    let vocabulary = try CLIPVocabulary(CLIPVocabularyFiles(folder: folder))
    let length = min(try configuration.longest ?? longest, longest)
    guard length >= 2 else {
      throw ModelError("\(folder.path(percentEncoded: false)): there is no room for a prompt")
    }
    self.init(vocabulary, try configuration.specialTokens(vocabulary.ids), length: length)
  }

  /// The tokenizer of all Stable Diffusion models, for those that come without one.
  ///
  /// - Parameters:
  ///   - padding: `<|endoftext|>` for 1.x, `!` for 2.x.
  ///   - length: how many positions the text encoder has, 2 at least.
  public init(builtInWithPadding padding: Padding, length: Int) {
    self.init(
      .builtIn, SpecialTokens(ofCLIPPaddingWith: padding.rawValue, .builtIn), length: length)
  }

  /// What fills short prompts up.
  public enum Padding: String, Sendable {
    case endOfText = "<|endoftext|>"
    case exclamationMark = "!"
  }

  private init(_ vocabulary: CLIPVocabulary, _ special: SpecialTokens, length: Int) {
    encoding = BytePairEncoding(vocabulary, unknown: special.unknown)
    added = AddedTokens(special.added)
    (start, end, padding) = (special.start, special.end, special.padding)
    self.length = length
    vocabularySize = max(vocabulary.size, (special.added.map(\.id).max() ?? -1) + 1)
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
    // Scalars, not characters: a token is one also where a combining mark follows.
    let scalars = Array(prompt.unicodeScalars)
    var ids: [Int] = []
    added.divide(written: scalars[...]) { range, id in
      if let id {
        ids.append(id)
        return
      }
      let text = PromptText(scalars[range])
      added.divide(normalized: text.scalars[...]) { range, id in
        if let id {
          ids.append(id)
        } else {
          for word in text.words(in: range) {
            let bytes = String(String.UnicodeScalarView(text.scalars[word])).utf8
            ids += encoding.ids(of: Array(bytes))
          }
        }
      }
    }
    return ids
  }
}

import StableDiffusion

/// The words of a clip's two prompts, and what is asked for some of them.
struct FateZeroWords {
  typealias Words = [(text: String, positions: Range<Int>)]

  private let source, target: Words
  private let sourceTokens, targetTokens: [Int]
  private let positions: Int

  init(source: String, target: String, tokenizer: CLIPTokenizer) {
    func tokens(_ prompt: String, _ words: Words) -> [Int] {
      Array(tokenizer.encode(prompt).prefix((words.last?.positions.upperBound ?? 1) + 1))
    }
    (self.source, self.target) = (tokenizer.words(of: source), tokenizer.words(of: target))
    (sourceTokens, targetTokens) = (tokens(source, self.source), tokens(target, self.target))
    positions = tokenizer.length
  }

  /// How attention to the text is fused.
  ///
  /// Start, end and padding would align with those of any prompt; where no word does, there is
  /// nothing to keep of the source's attention, and the edit's own stays.
  func alignment(replacing: Bool) -> PromptAlignment {
    if replacing, !source.isEmpty, source.count == target.count {
      return PromptAlignment(replacing: source, by: target, positions: positions)
    }
    let alignment = PromptAlignment(
      refining: sourceTokens, to: targetTokens, positions: positions)
    let words = 1..<max(1, targetTokens.count - 1)
    return alignment.shares.contains { words.contains($0.target) }
      ? alignment : PromptAlignment(positions: positions)
  }

  /// Where a word of the source prompt, or each of several, has its tokens.
  func places(ofSource words: String) throws -> [Range<Int>] {
    try Self.places(of: words, in: source, called: "source prompt")
  }

  /// Where a word of the target prompt, or each of several, has its tokens.
  func places(ofTarget words: String) throws -> [Range<Int>] {
    try Self.places(of: words, in: target, called: "prompt")
  }

  private static func places(of wanted: String, in words: Words, called prompt: String) throws
    -> [Range<Int>]
  {
    try wanted.split(whereSeparator: \.isWhitespace).flatMap { word in
      let named = words.filter { bare($0.text) == bare(String(word)) }.map(\.positions)
      guard !named.isEmpty else {
        throw ModelError(
          "fatezero: the \(prompt) has no word '\(word)'; name one of its words, or none")
      }
      let found = named.filter { !$0.isEmpty }
      guard !found.isEmpty else {
        throw ModelError(
          "fatezero: the word '\(word)' of the \(prompt) lies beyond what this model reads: shorten the \(prompt)"
        )
      }
      return found
    }
  }

  /// A word without the punctuation around it, in small letters.
  private static func bare(_ word: String) -> String {
    let inner = word.drop { $0.isPunctuation }
    return String(inner.reversed().drop { $0.isPunctuation }.reversed()).lowercased()
  }
}

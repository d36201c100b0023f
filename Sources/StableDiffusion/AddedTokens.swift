/// Texts that stand for one id wherever they occur in a prompt.
struct AddedTokens: Sendable {
  struct Token: Sendable, Equatable {
    var text: String
    /// Whether it is looked for in the text as CLIP reads it, so in whatever case, and not in the
    /// prompt as it was written.
    var isNormalized: Bool
  }

  /// Those that are looked for first, and those in what is left; by their first scalar, longest
  /// first.
  private let written, normalized: [Unicode.Scalar: [(text: [Unicode.Scalar], id: Int)]]

  init(_ tokens: [(token: Token, id: Int)]) {
    func table(_ isNormalized: Bool) -> [Unicode.Scalar: [(text: [Unicode.Scalar], id: Int)]] {
      let texts = tokens.filter { $0.token.isNormalized == isNormalized }.map { token, id in
        let scalars = Array(token.text.unicodeScalars)
        return (text: isNormalized ? PromptText(scalars[...]).scalars : scalars, id: id)
      }
      return Dictionary(grouping: texts.filter { !$0.text.isEmpty }) { $0.text[0] }.mapValues {
        $0.sorted { $0.text.count > $1.text.count }
      }
    }
    (written, normalized) = (table(false), table(true))
  }

  /// Divides a prompt's scalars.
  func divide(written prompt: ArraySlice<Unicode.Scalar>, _ part: (Range<Int>, Int?) -> Void) {
    Self.divide(prompt, by: written, part)
  }

  /// Divides what is left of it, as CLIP reads it.
  func divide(normalized text: ArraySlice<Unicode.Scalar>, _ part: (Range<Int>, Int?) -> Void) {
    Self.divide(text, by: normalized, part)
  }

  /// - Parameter part: told of every part in order, with its id where it is a token.
  private static func divide(
    _ text: ArraySlice<Unicode.Scalar>,
    by tokens: [Unicode.Scalar: [(text: [Unicode.Scalar], id: Int)]],
    _ part: (Range<Int>, Int?) -> Void
  ) {
    var (plain, position) = (text.startIndex, text.startIndex)
    while position < text.endIndex {
      guard
        let found = tokens[text[position]]?.first(where: { text[position...].starts(with: $0.text) }
        )
      else {
        position += 1
        continue
      }
      if plain < position { part(plain..<position, nil) }
      let end = position + found.text.count
      part(position..<end, found.id)
      (plain, position) = (end, end)
    }
    if plain < text.endIndex { part(plain..<text.endIndex, nil) }
  }
}

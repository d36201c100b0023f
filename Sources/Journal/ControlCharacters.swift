extension String {
  /// The text with everything that could move a terminal's cursor, change its state or disguise
  /// what follows written as an escape (`\n`, `\u{1B}`): names and messages come from strangers.
  public func escapingControlCharacters(keepingNewlines: Bool = false) -> String {
    var result = ""
    for scalar in unicodeScalars {
      switch scalar {
      case "\n": result += keepingNewlines ? "\n" : "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      // Control characters, line and paragraph separators, and the marks that turn the direction of
      // writing.
      case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{2028}"..."\u{202E}",
        "\u{2066}"..."\u{2069}", "\u{200E}", "\u{200F}":
        result += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}

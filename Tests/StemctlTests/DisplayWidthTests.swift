import Testing

@testable import stemctl

@Suite struct DisplayWidthTests {
  @Test(
    "a terminal's columns are counted, not letters",
    arguments: [
      ("ball", 4), ("é", 1), ("e\u{301}", 1), ("日本語", 6), ("한국", 4), ("😀", 2),
      ("❤\u{FE0F}", 2), ("", 0), ("a·b…", 4), ("█░", 2), ("\u{200B}", 0),
    ])
  func width(text: String, columns: Int) {
    #expect(text.displayWidth == columns)
  }

  @Test(
    "text is cut to the room that it has, and shows that it was",
    arguments: [
      ("ball", 4, "ball"), ("balloon", 5, "ball…"), ("日本語", 6, "日本語"), ("日本語", 5, "日本…"),
      ("日本語", 4, "日…"), ("日本語", 1, "…"), ("ball", 0, ""), ("ab", 1, "…"),
    ])
  func cut(text: String, columns: Int, shown: String) {
    let cut = StyledText(text).cut(to: columns)
    #expect(cut.text == shown)
    #expect(cut.width <= columns)
  }

  @Test("what is cut keeps its styles, and says once that something is missing")
  func styledCut() {
    let text = StyledText("state: ") + StyledText("failed", .bad) + " badly"
    #expect(text.cut(to: 9).rendered(colors: true) == "state: \u{1B}[31mf…\u{1B}[0m")
    #expect(text.cut(to: 14).text == "state: failed…")
    #expect(text.cut(to: 19) == text)
  }

  @Test("control characters never get to the terminal")
  func controlCharacters() {
    #expect(StyledText("a\u{1B}[2J\nb").text == "a\\u{1B}[2J\\nb")
    #expect(("x" as StyledText).rendered(colors: true) == "x")
  }

  @Test(
    "lines are broken at spaces, and within words that are longer than a line",
    arguments: [
      ("one two three", 7, ["one two", "three"]), ("one two three", 8, ["one two", "three"]),
      ("/a/long/path here", 6, ["/a/lon", "g/path", "here"]), ("日本 語", 5, ["日本", "語"]),
      ("short", 10, ["short"]), ("", 10, [""]),
    ])
  func wrapping(text: String, columns: Int, lines: [String]) {
    #expect(StyledText(text).wrapped(to: columns).map(\.text) == lines)
  }
}

import Testing

@testable import stemctl

@Suite struct ColorChoiceTests {
  private let xterm = ["TERM": "xterm-256color"]

  @Test("colours are for terminals that know them, unless somebody wants none")
  func auto() {
    #expect(ColorChoice.auto.uses(isTerminal: true, environment: xterm))
    #expect(!ColorChoice.auto.uses(isTerminal: false, environment: xterm))
    for environment in [["TERM": "dumb"], [:], ["TERM": "xterm", "NO_COLOR": "1"]] {
      #expect(!ColorChoice.auto.uses(isTerminal: true, environment: environment))
    }
    // https://no-color.org: "when present and not an empty string".
    #expect(
      ColorChoice.auto.uses(isTerminal: true, environment: ["TERM": "xterm", "NO_COLOR": ""]))
  }

  @Test("an option goes before all of that")
  func option() {
    #expect(ColorChoice.always.uses(isTerminal: false, environment: ["NO_COLOR": "1"]))
    #expect(!ColorChoice.never.uses(isTerminal: true, environment: xterm))
  }
}

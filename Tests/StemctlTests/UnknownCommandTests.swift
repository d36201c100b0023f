import ArgumentParser
import Testing

@testable import stemctl

@Suite struct UnknownCommandTests {
  @Test(
    "a command that does not exist is named, with the one that was meant",
    arguments: [
      ("edti clip.mp4", "'edti' is no command of stemctl: did you mean 'edit'?"),
      ("statsu", "'statsu' is no command of stemctl: did you mean 'stats'?"),
      ("xylophone", "'xylophone' is no command of stemctl: 'stemctl --help' lists them."),
      ("models lits", "'lits' is no command of stemctl models: did you mean 'list'?"),
      ("log", "'log' is no command of stemctl: 'stemctl --help' lists them."),
      (
        "models hlep", "'hlep' is no command of stemctl models: 'stemctl models --help' lists them."
      ),
      ("models", nil), ("list --all", nil), ("--version", nil), ("help edit", nil), ("", nil),
      ("edit edti", nil),
    ])
  func named(line: String, message: String?) {
    let arguments = line.split(separator: " ").map(String.init)
    #expect(unknownCommand(in: arguments[...])?.message == message)
  }

  @Test("it ends the program as a wrong option does") func status() throws {
    let run = try ProgramRun("stemctl", ["edti", "clip.mp4"])
    #expect(run.status == ExitCode.validationFailure.rawValue)
    #expect(run.output.hasPrefix("Error: 'edti' is no command of stemctl"))
  }
}

import Foundation
import Testing

@Suite struct ManualTests {
  /// What a program says of itself.
  private struct Help: Decodable {
    struct Command: Decodable {
      struct Argument: Decodable {
        struct Name: Decodable {
          var kind: String
          var name: String
        }
        var names: [Name]?
        var shouldDisplay: Bool
      }
      var commandName: String
      var subcommands: [Command]?
      var arguments: [Argument]?
    }
    var command: Command
  }

  /// More than fits into a pipe.
  private static func help(of program: String) throws -> Data {
    let process = Process()
    process.executableURL = Program.url(program)
    process.arguments = ["--experimental-dump-help"]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    defer { process.waitUntilExit() }
    return try output.fileHandleForReading.readToEnd() ?? Data()
  }

  private func words(of command: Help.Command) -> Set<String> {
    let options = (command.arguments ?? []).filter(\.shouldDisplay).flatMap { $0.names ?? [] }
    let own = options.filter { $0.kind == "long" }.map { "-" + $0.name } + [command.commandName]
    return (command.subcommands ?? []).reduce(into: Set(own)) { $0.formUnion(words(of: $1)) }
  }

  @Test(arguments: [
    ("stemd", "stemd.8"), ("stem-worker", "stem-worker.8"), ("stemctl", "stemctl.1"),
  ])
  func describesEveryCommandAndOption(program: String, page: String) throws {
    let help = try JSONDecoder().decode(Help.self, from: Self.help(of: program))
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(
      path: "../../Docs/man/\(page)"
    ).standardizedFileURL
    let text = try String(contentsOf: file, encoding: .utf8)
    let described = Set(text.split { $0.isWhitespace }.map(String.init))
    // The library's own, which every program has.
    let missing = words(of: help.command).subtracting([program, "help", "-help"]).subtracting(
      described)
    #expect(missing.isEmpty, "\(page) lacks \(missing.sorted())")
  }
}

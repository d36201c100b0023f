import ArgumentParser
import Messaging

struct KeysRevoke: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "revoke", abstract: "Let a key in no more.",
    discussion: "It counts from the key's next message, also on connections that are open.")

  @Argument(help: "The name that the key is known by.")
  var name: String

  @Option(
    name: .customLong("as"),
    help: ArgumentHelp("Only in this role. (default: in every role)", valueName: "role"))
  var role: KeyRole?

  @OptionGroup
  var root: RootOption

  func run() throws {
    let roles = try KeyFolder(root.folders).revoke(
      name, roles: role.map { [$0] } ?? KeyRole.allCases)
    guard !roles.isEmpty else {
      throw CommandFailure(
        "No key has the name \(name)\(role.map { " as \($0.rawValue)" } ?? ""): 'stemctl keys list' shows all."
      )
    }
    for role in roles { print("revoked \(role.rawValue)/\(name)") }
  }
}

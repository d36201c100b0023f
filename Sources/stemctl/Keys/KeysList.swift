import ArgumentParser
import Foundation
import Messaging

struct KeysList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the keys that are let in: role, name, public key.")

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup
  var root: RootOption

  @OptionGroup
  var terminal: TerminalOptions

  private struct Entry: Encodable {
    var role: String
    var name: String
    var publicKey: String

    enum CodingKeys: String, CodingKey {
      case role, name
      case publicKey = "public_key"
    }
  }

  func run() throws {
    let folder = KeyFolder(root.folders)
    let keys = folder.allowedKeys()
    if json {
      print(
        try jsonText(
          keys.map { Entry(role: $0.role.rawValue, name: $0.name, publicKey: $0.publicKey) }))
    } else {
      let table = Table(
        columns: [.init("ROLE"), .init("NAME", least: 8), .init("PUBLIC KEY")],
        rows: keys.map {
          [StyledText($0.role.rawValue), StyledText($0.name), StyledText($0.publicKey)]
        })
      let terminal = terminal.terminal(STDOUT_FILENO)
      terminal.print(table.lines(in: terminal.columns))
    }
    for notice in folder.takeNotices() {
      FileHandle.standardError.write(Data("note: \(notice)\n".utf8))
    }
  }
}

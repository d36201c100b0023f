import ArgumentParser
import Foundation
import Messaging

struct KeysList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the keys that are let in: role, name, public key.")

  @OptionGroup
  var root: RootOption

  func run() throws {
    let folder = KeyFolder(root.folders)
    for key in folder.allowedKeys() {
      print("\(key.role.rawValue)  \(key.name)  \(key.publicKey)")
    }
    for notice in folder.takeNotices() {
      FileHandle.standardError.write(Data("note: \(notice)\n".utf8))
    }
  }
}

import ArgumentParser
import Foundation
import Messaging

struct KeysNew: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "new", abstract: "Make a key pair, and print its public key.",
    discussion: "Writes NAME.secret, which only you can read, and NAME.public.")

  @Argument(help: "The key's name.")
  var name: String

  @Option(help: "Where to put the two files; made if it is missing.", completion: .directory)
  var folder = "."

  func validate() throws {
    guard PeerKey.isName(name) else {
      throw ValidationError(
        "A key's name has 1 to 64 letters, digits, '.', '_' and '-', the first not a dot.")
    }
    if folder.isEmpty { throw ValidationError("--folder takes a folder, not an empty text.") }
  }

  func run() throws {
    let pair = try CurveKeyPair()
    try makeFolder(folder, mode: 0o700)
    try KeyFile.writePair(pair, name: name, folder: folder)
    print(pair.publicKey)
  }
}

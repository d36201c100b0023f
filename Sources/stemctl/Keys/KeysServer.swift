import ArgumentParser
import Messaging

struct KeysServer: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "server",
    abstract: "Print the daemon's public key; make its pair where there is none.")

  @OptionGroup
  var root: RootOption

  func run() throws { print(try KeyFolder(root.folders).makeServerKeyPair().publicKey) }
}

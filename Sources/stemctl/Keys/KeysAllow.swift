import ArgumentParser
import Messaging

struct KeysAllow: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "allow", abstract: "Let a key in.",
    discussion:
      "It counts at once. The characters of a key mean much to a shell: quote it, or name its file."
  )

  @Argument(help: "The name that the key is known by.")
  var name: String

  @Option(
    name: .customLong("as"),
    help: ArgumentHelp(
      "What it may do: 'client' sees its own jobs, 'operator' everything, 'worker' edits.",
      valueName: "role"))
  var role: KeyRole

  @Argument(help: "The public key, or a file that holds it.", completion: .file())
  var publicKey: String

  @OptionGroup
  var root: RootOption

  func run() throws {
    guard !publicKey.hasSuffix(".secret") else {
      throw CommandFailure(
        "\(publicKey) is a secret key, which stays with its owner: allow the .public file beside it."
      )
    }
    let key = try KeyFile.publicKey(textOrPath: publicKey)
    let folder = KeyFolder(root.folders)
    try folder.allow(PeerKey(role: role, name: name, publicKey: key))
    print("allowed \(role.rawValue)/\(name)")
  }
}

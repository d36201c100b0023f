import ArgumentParser
import Messaging

struct Keys: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say who may talk to the daemon from other machines.",
    discussion: """
      Keys are CURVE keys. Who comes from another machine makes a pair with 'new' and keeps NAME.secret; the public key is allowed on the daemon's machine with 'allow'. 'server' prints the daemon's own public key, which the others need.
      """,
    subcommands: [
      KeysNew.self, KeysAllow.self, KeysList.self, KeysRevoke.self, KeysServer.self,
    ])
}

extension KeyRole: ExpressibleByArgument {}

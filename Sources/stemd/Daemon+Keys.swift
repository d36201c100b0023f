import Foundation
import JobQueue
import Journal
import Logging
import Messaging
import ServiceConfiguration

/// The sockets for other machines: they open only where there are keys.
struct RemoteSockets {
  let keys: KeyFolder
  let authenticator: Authenticator
  let control: MessageSocket?
  let workers: MessageSocket?

  /// - Returns: `nil` where the configuration asks for none.
  /// - Throws: `MessagingError` that says what to do, where the daemon has no keys.
  init?(
    _ configuration: Configuration, folders: SpoolFolders, context: MessagingContext,
    onRefusal: @escaping (Authenticator.Refusal) -> Void
  ) throws {
    guard configuration.listen != nil || configuration.listenWorkers != nil else { return nil }
    keys = KeyFolder(folders)
    guard let pair = try keys.serverKeyPair() else {
      throw MessagingError(
        "A tcp endpoint opens only with keys, and this stemd has none: make them with 'stemctl keys server --root \(folders.rootPath)', and let clients in with 'stemctl keys allow'."
      )
    }
    authenticator = try Authenticator(context: context, keys: keys, onRefusal: onRefusal)
    func open(_ endpoint: String?, _ domain: KeyDomain) throws -> MessageSocket? {
      guard let endpoint else { return nil }
      let socket = try MessageSocket(
        .router, context: context,
        security: .curveServer(secretKey: pair.secretKey, domain: domain),
        largestFrame: configuration.limits.messageBytes)
      try socket.bind(endpoint)
      return socket
    }
    control = try open(configuration.listen, .control)
    workers = try open(configuration.listenWorkers, .workers)
  }
}

extension Daemon {
  /// Whether a key that was allowed when its connection was made still is.
  func isAllowed(_ key: PeerKey) -> Bool { remote?.keys.isAllowed(key) ?? false }

  /// Says what is wrong in the folder of keys, and how many connections were refused.
  func reportKeysAndConnections() {
    for notice in remote?.keys.takeNotices() ?? [] { logger.log(.keyFileWrong, "keys: \(notice)") }
    let refused = ConnectionCeiling.refused
    guard refused > connectionsRefused else { return }
    controlComplaints.log(
      .connectionsRefused,
      "\(refused - connectionsRefused) connections are refused: as many are open as the limit 'connections' allows",
      to: logger, now: .now)
    connectionsRefused = refused
  }
}

extension Authenticator.Refusal {
  /// `ADDRESS`, and `KEY` of one that proved to have one.
  var fields: Logger.Metadata {
    var fields: Logger.Metadata = ["address": "\(displayName(address))"]
    if let publicKey { fields["key"] = "\(publicKey)" }
    return fields
  }
}

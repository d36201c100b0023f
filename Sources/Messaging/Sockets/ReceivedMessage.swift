import Foundation

/// A message that came to a router, and what is known of its sender.
public struct ReceivedMessage: Sendable {
  /// The sender's routing id: where an answer goes.
  public var peer: Data
  public var frames: [Data]
  /// The key that it proved to have, on a socket that asks for one. It was allowed when the
  /// connection was made: `KeyFolder.isAllowed` says whether it still is.
  public var key: PeerKey?
  /// Whose process it is, on a socket that is bound to `ipc:` endpoints only.
  public var localUser: uid_t?

  /// Role and name of the key: `client/alice`.
  public var keyName: String? { key?.keyName }
}

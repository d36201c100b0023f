import Foundation

/// A message that came to a router, and what is known of its sender.
public struct ReceivedMessage: Sendable {
  /// The sender's routing id: where an answer goes.
  public var peer: Data
  public var frames: [Data]
  /// The name of the key that it proved to have, on a socket that asks for one.
  public var keyName: String?
  /// Whose process it is, on an `ipc:` socket.
  public var localUser: uid_t?
}

import Foundation
import JobQueue
import Messaging

/// Where an answer goes: one of the daemon's control sockets, and a peer of it.
struct ClientAddress: Hashable {
  var socket: Int
  var peer: Data
}

/// Who asks, and what that allows.
struct Client {
  var address: ClientAddress
  /// `user:ada`, `key:studio`.
  var name: String
  /// May see and touch others' jobs, and pause, resume and drain.
  var isOperator: Bool
  /// On this machine, where it sees the inbox.
  var isLocal: Bool
  /// What it is known by, on another machine.
  var key: PeerKey?

  func isSame(as other: Client) -> Bool {
    name == other.name && isOperator == other.isOperator && key == other.key
  }

  func mayTouch(_ job: Job) -> Bool { isOperator || job.client == name }
}

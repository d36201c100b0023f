import Foundation
import JobQueue
import Messaging

struct PeerKey {
  enum Role { case client, `operator`, worker }
  var role: Role
  var name: String
  init?(userID: String) { return nil }
}
extension Daemon {
  func isAllowed(_ key: PeerKey) -> Bool { false }
}

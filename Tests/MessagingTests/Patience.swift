import Foundation
import Messaging

/// How long a test waits for what must happen before it calls it missing: far longer than it ever
/// takes.
let patience = 20.0

struct NothingCame: Error {}

extension MessageSocket {
  /// The next message, waiting for it.
  func next(within seconds: Double = patience) throws -> [Data] {
    let deadline = Date(timeIntervalSinceNow: seconds)
    repeat {
      if let message = try receive() { return message }
      _ = try Poller.wait(for: [.socket(self)], milliseconds: 50)
    } while Date() < deadline
    throw NothingCame()
  }
}

/// Whether `condition` becomes true.
func eventually(within seconds: Double = patience, _ condition: () throws -> Bool) rethrows -> Bool
{
  let deadline = Date(timeIntervalSinceNow: seconds)
  repeat {
    if try condition() { return true }
    usleep(5000)
  } while Date() < deadline
  return false
}

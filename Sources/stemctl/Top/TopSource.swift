import Foundation
import JobQueue
import Messaging
import Synchronization

/// Asks the daemon again and again on a thread of its own, so that keys count at once however long
/// it takes to answer.
final class TopSource: Sendable {
  /// Rings whenever there is something new.
  let wakeUp: WakeUp
  private let snapshot: Mutex<TopSnapshot>

  /// - Throws: where the daemon cannot be asked the first time.
  init(_ daemon: DaemonOptions) throws {
    let isElsewhere = try daemon.isElsewhere
    let address = try daemon.address()
    wakeUp = try WakeUp()
    snapshot = Mutex(try TopSnapshot(from: daemon.client(), isElsewhere: isElsewhere))
    Thread.detachNewThread { [weak self] in
      var client: ControlClient?
      while true {
        usleep(UInt32(TopSnapshot.interval * 1e6))
        guard let self else { return }
        do {
          // A daemon that started anew is found by a new one.
          let asked =
            try client ?? ControlClient(endpoint: address.endpoint, security: address.security)
          client = asked
          let new = try TopSnapshot(from: asked, isElsewhere: isElsewhere)
          snapshot.withLock { $0 = new }
        } catch {
          client = nil
          snapshot.withLock { $0.failure = "\(error)" }
        }
        wakeUp.ring()
      }
    }
  }

  var latest: TopSnapshot { snapshot.withLock { $0 } }
}

import Dispatch
import Foundation
import Messaging
import Synchronization

/// Does what may take long (copying and syncing large files) beside the event loop, and hands its
/// end back to it.
final class BackgroundWork: Sendable {
  /// Made and called by the event loop only; on its way in between.
  private struct End: @unchecked Sendable {
    let call: ((any Error)?) -> Void
  }

  enum Kind {
    /// Reads and writes a whole clip: one after another, lest they take the disk from each other.
    case copy
    /// Waits for the disk, and for nobody else.
    case sync
  }

  private let copies = DispatchQueue(label: "stemd.copies")
  private let syncs = DispatchQueue(label: "stemd.syncs", attributes: .concurrent)
  private let ended = Mutex<[(end: End, failure: (any Error)?)]>([])
  private let wakeUp: WakeUp
  private let unfinished = Atomic(0)

  /// Whether everything that was begun has been finished.
  var isIdle: Bool { unfinished.load(ordering: .acquiring) == 0 }

  init() throws { wakeUp = try WakeUp() }

  /// Readable when something has ended: call `finish` then.
  var descriptor: Int32 { wakeUp.descriptor }

  /// - Parameters:
  ///   - work: done on another thread.
  ///   - end: called by `finish`, with what `work` threw.
  func run(
    _ kind: Kind, _ work: @escaping @Sendable () throws -> Void,
    end: @escaping ((any Error)?) -> Void
  ) {
    let end = End(call: end)
    unfinished.add(1, ordering: .acquiringAndReleasing)
    (kind == .copy ? copies : syncs).async {
      var failure: (any Error)?
      do { try work() } catch { failure = error }
      self.ended.withLock { [failure] in $0.append((end, failure)) }
      self.wakeUp.ring()
    }
  }

  /// To be called by the event loop.
  func finish() {
    wakeUp.silence()
    let all = ended.withLock { ended in
      let all = ended
      ended = []
      return all
    }
    for one in all {
      one.end.call(one.failure)
      unfinished.subtract(1, ordering: .acquiringAndReleasing)
    }
  }
}

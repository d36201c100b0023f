import Foundation
import JobQueue
import Journal
import Logging

/// Pausing, resuming and draining; and what keeps new work out by itself.
extension Daemon {
  /// - Throws: where the store cannot keep it.
  func set(mode: DaemonMode, by client: String) throws {
    guard mode != self.mode else { return }
    // A drain ends with the daemon, which then comes back as it was before.
    if mode != .draining { try spool.store.set(mode: mode) }
    self.mode = mode
    mayDispatch = true
    let what =
      switch mode {
      case .running: "resumed"
      case .paused: "paused: no job is begun until 'stemctl resume'"
      case .draining: "draining: nothing new is accepted or begun, and stemd ends when no job runs"
      }
    logger.notice(
      "\(what) (by \(displayName(client)))", metadata: ["client": "\(displayName(client))"])
  }

  func endIfDrained() {
    guard mode == .draining, !isStopping, pendingSubmissions.isEmpty, unrecorded.isEmpty,
      uploads.count == 0, background.isIdle,
      let counts = try? spool.store.countsByState(), counts[.running] == 0
    else { return }
    logger.log(
      .daemonStopping,
      "drained: no job runs; \(counts[.queued] ?? 0) are queued for the next start")
    isStopping = true
  }

  /// Whether clips are taken out of the inbox at present.
  var mayClaim: Bool { mode != .draining && holdsBack == nil }

  /// Asks again whether the disk and the queue have room; says once when they have not, and once
  /// when they have again.
  /// - Returns: whether they have.
  func hasRoom(forQueue: Bool) -> Bool {
    var refusal: Refusal?
    do {
      try spool.checkSpace()
      if forQueue { try spool.checkRoom() }
    } catch {
      refusal = error as? Refusal ?? Refusal(.unavailable, "\(error)")
    }
    if let refusal {
      if holdsBack?.limit != refusal.limit {
        logger.log(
          refusal.limit == "queue_length" ? .queueFull : .diskFull,
          "nothing new is begun or taken from the inbox: \(refusal)")
      }
      holdsBack = refusal
      retryLater(.seconds(2))
      return false
    }
    // Room in the queue says nothing to whom the disk keeps out, and the other way round.
    if let held = holdsBack, forQueue || held.limit == "spool_reserve" {
      logger.log(.roomAgain, "there is room again: work goes on")
      holdsBack = nil
      mayDispatch = true
    }
    return true
  }
}

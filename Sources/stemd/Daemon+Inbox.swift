import Foundation
import JobQueue
import Journal
import Logging
import Messaging

extension Daemon {
  func take(_ findings: InboxFindings, from inbox: Inbox) {
    for notice in findings.notices {
      switch notice.kind {
      case .lone, .ambiguous, .notAFile, .unreadable, .badName:
        logger.log(
          .inboxNotice, level: notice.kind == .lone ? .notice : .warning,
          "inbox: \(notice.message)", metadata: ["clip": "\(notice.name)"])
      case .folder: logger.warning("inbox: \(notice.message)")
      case .leftOut: logger.notice("inbox: \(notice.message)")
      }
    }
    readyClips += findings.ready
    for sidecar in findings.lateSidecars { join(sidecar, hasWaited: false, from: inbox) }
    for sidecar in findings.loneSidecars { join(sidecar, hasWaited: true, from: inbox) }
  }

  /// Claims some of the clips that are ready, so that thousands at once do not keep workers and
  /// clients waiting.
  func claimReady() {
    // Also those of clients, whose requests do not come this way.
    defer { if spool.hasUnfinishedClaims { retryLater() } }
    guard let inbox, !readyClips.isEmpty, mode != .draining, hasRoom(forQueue: true) else { return }
    let ready = Array(readyClips.prefix(16))
    readyClips.removeFirst(ready.count)
    let clips = ready.filter { !syncsFirst($0) }
    guard !clips.isEmpty else { return }
    do {
      for outcome in try spool.claim(clips) {
        if let problem = outcome.problem {
          logger.warning(
            "not claimed: \(problem)", metadata: ["clip": "\(displayName(outcome.clip.clip))"])
          inbox.offerAgain([outcome.clip.clip] + outcome.clip.sidecars, after: Self.retryPause)
          retryLater()
        }
        outcome.jobs.forEach(welcome)
      }
    } catch {
      logger.error("\(clips.count) clips cannot be claimed: \(error)")
      for clip in clips { inbox.offerAgain([clip.clip] + clip.sidecars, after: Self.retryPause) }
      retryLater()
    }
  }

  /// A large clip that was just copied may take long to get to the disk: that is waited for
  /// elsewhere, before it is claimed.
  private func syncsFirst(_ clip: ReadyClip) -> Bool {
    if syncedClips.remove(clip.clip) != nil { return false }
    guard let sync = spool.longSync(of: clip) else { return false }
    background.run(.sync, sync) { [unowned self] _ in
      // Whatever is wrong with it, the claim finds out.
      syncedClips.insert(clip.clip)
      readyClips.append(clip)
    }
    return true
  }

  private func join(_ sidecar: String, hasWaited: Bool, from inbox: Inbox) {
    do {
      if let job = try spool.joinEarlierClip(sidecar: sidecar, hasWaited: hasWaited) {
        welcome(job)
      }
    } catch {
      logger.warning("not claimed: \(error)", metadata: ["clip": "\(displayName(sidecar))"])
      inbox.offerAgain([sidecar], after: Self.retryPause)
      retryLater()
    }
  }

  /// A job has been accepted; one whose sidecar has an error is at its end already.
  func welcome(_ job: Job) {
    logger.log(
      .jobAccepted, "accepted \(displayName(job.sourceName)) as '\(displayName(job.name))'",
      metadata: fields(of: job))
    mayDispatch = true
    tell(job)
    guard job.state.isFinal else { return }
    counters.count(job.state)
    logger.log(.jobFailed, "failed: \(displayLine(job.error ?? ""))", metadata: fields(of: job))
    deliver(job.id)
  }

  /// - Parameter again: whether it was tried before.
  /// - Returns: whether it lies in the outbox now.
  @discardableResult func deliver(_ id: JobID, again: Bool = false) -> Bool {
    do {
      let job = try spool.deliver(id, again: again)
      let event: JournalEvent? =
        switch job.state {
        case .done: .jobDone
        case .cancelled: .jobCancelled
        default: nil
        }
      log(
        event, .notice,
        "\(job.state.rawValue), delivered to outbox/\(displayName(job.outboxName ?? ""))",
        fields(of: job))
      tell(job)
      return true
    } catch {
      logger.log(
        .deliveryDelayed, "the job cannot be delivered yet: \(error)", metadata: fields(of: id))
      retryLater()
      // Its state is final, and whoever watches it is to know, though there is no folder yet.
      if !again, let job = try? spool.store.job(id) { tell(job) }
      return false
    }
  }
}

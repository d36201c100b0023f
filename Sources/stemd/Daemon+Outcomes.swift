import EditSettings
import Foundation
import JobQueue
import Journal
import Logging
import Messaging

/// How a job's attempt ended.
enum Outcome {
  case done(EditFigures)
  /// At once for good: the input or the request is at fault.
  case failed(String)
  /// This attempt only; `sentence` is what is said if it was the last one.
  case attemptFailed(String, sentence: (Int) -> String)
  /// This attempt only, and through no fault of the job.
  case interrupted(String)
  /// This worker cannot do it; another may.
  case unfit(String)
  case cancelled

  /// Whether no other attempt follows, whatever the job's sender wishes.
  var isFinal: Bool {
    switch self {
    case .done, .failed, .cancelled: true
    case .attemptFailed, .interrupted, .unfit: false
    }
  }
}

/// What an attempt took, and whether it got any further than the one before.
struct Attempt {
  var seconds = 0.0
  var hasProgressed = false
  /// Where it ended, for people.
  var place: String?

  init() {}

  init(_ work: Worker.Work, now: ContinuousClock.Instant) {
    (seconds, hasProgressed) = (work.ran(until: now), work.hasProgressed)
    place = work.progress.map { $0.placeText }
  }
}

extension Daemon {
  /// Records how an attempt ended; what is final is delivered.
  func conclude(_ id: JobID, _ outcome: Outcome, _ attempt: Attempt = Attempt()) {
    do {
      if !outcome.isFinal, try spool.store.isCancelRequested(id) {
        return try finish(id, as: .cancelled, stoppedAt: attempt.place)
      }
      switch outcome {
      case .done(let figures): try finish(id, as: .done, figures: figures)
      case .failed(let error):
        try finish(id, as: .failed, error: error, stoppedAt: attempt.place)
      case .cancelled: try finish(id, as: .cancelled, stoppedAt: attempt.place)
      case .attemptFailed(let error, let sentence):
        let failures = attempt.hasProgressed ? 1 : try spool.store.failures(of: id) + 1
        if failures >= Self.mostFailures {
          return try finish(
            id, as: .failed, error: sentence(failures), isQuarantined: true,
            stoppedAt: attempt.place)
        }
        let pause = Self.pause(after: failures)
        logForJob(
          id, .warning,
          "attempt failed: \(error); the job is queued again, and begins in \(Int(pause / .seconds(1))) s at the earliest",
          event: .jobQueuedAgain
        )
        try again(id, failed: true, attempt, pause: pause)
      case .interrupted(let reason):
        let count = attempt.hasProgressed ? 1 : try spool.store.interruptions(of: id) + 1
        guard count <= Self.mostInterruptions else {
          return try finish(
            id, as: .failed,
            error:
              "its attempts were cut off \(count) times in a row without getting any further: \(reason)",
            isQuarantined: true, stoppedAt: attempt.place)
        }
        let pause = Self.pause(afterInterruptions: count)
        logForJob(
          id, .notice, "interrupted: \(reason); the job is queued again", event: .jobQueuedAgain)
        try again(id, failed: false, interrupted: true, attempt, pause: pause)
      case .unfit(let reason):
        logForJob(
          id, .warning, "its worker cannot do it: \(reason); the job is queued again",
          event: .jobQueuedAgain)
        try again(id, failed: false, attempt, pause: nil)
      }
    } catch let error as JobStoreError {
      logger.error("\(error)", metadata: fields(of: id))
    } catch {
      logger.error(
        "how the job ended cannot be recorded yet: \(error)", metadata: fields(of: id))
      unrecorded[id] = (outcome, attempt)
      retryLater()
    }
  }

  /// Longer each time: what may pass needs time to.
  private static func pause(after failures: Int) -> Duration {
    failures == 1 ? .seconds(1) : .seconds(15)
  }

  /// None for the first ones: whatever killed the worker, the job need not wait for it.
  private static func pause(afterInterruptions count: Int) -> Duration? {
    count <= 2 ? nil : .seconds(min(60, 1 << (count - 3)))
  }

  private func again(
    _ id: JobID, failed: Bool, interrupted: Bool = false, _ attempt: Attempt, pause: Duration?
  ) throws {
    let job = try spool.store.requeue(
      id, failed: failed, interrupted: interrupted, ran: attempt.seconds,
      forgivesFailures: attempt.hasProgressed
    ).job
    if let pause { pauses[id] = ContinuousClock.now + pause }
    mayDispatch = true
    tell(job)
  }

  private func finish(
    _ id: JobID, as state: JobState, error: String? = nil, isQuarantined: Bool = false,
    figures: EditFigures? = nil, stoppedAt: String? = nil
  ) throws {
    if let error { logForJob(id, .error, "failed: \(error)", event: .jobFailed) }
    if isQuarantined {
      logForJob(
        id, .error,
        "quarantined: 'stemctl retry \(id)' tries it again", event: .jobQuarantined)
    }
    furthest[id] = nil
    unfit[id] = nil
    _ = try spool.store.finish(
      id, as: state, error: error, isQuarantined: isQuarantined, figures: figures,
      stoppedAt: stoppedAt)
    counters.count(state, isQuarantined: isQuarantined, figures)
    deliver(id)
  }

  /// Ends a running job's attempt that nobody is at fault for.
  func takeBack(_ id: JobID) throws {
    let attempt =
      workers.values.compactMap(\.work).first { $0.assignment.job == id }.map {
        Attempt($0, now: .now)
      } ?? Attempt()
    if try spool.store.isCancelRequested(id) { return conclude(id, .cancelled, attempt) }
    mayDispatch = true
    tell(
      try spool.store.requeue(
        id, failed: false, ran: attempt.seconds, forgivesFailures: attempt.hasProgressed
      ).job)
    logForJob(id, .notice, "the job is queued again", event: .jobQueuedAgain)
  }
}

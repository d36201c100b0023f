import EditSettings
import Foundation
import Messaging

/// The computing thread: one assignment after another, each with exactly one outcome.
struct WorkerLoop {
  let connection: WorkerConnection
  let performer: any EditPerforming
  var jobAtHand = JobAtHand()

  /// Returns when the daemon says stop.
  func run() {
    while let assignment = connection.nextAssignment() {
      jobAtHand.begin(assignment.job)
      defer { jobAtHand.end() }
      if let outcome = outcome(of: assignment) {
        connection.send(outcome)
      } else {
        connection.leave(assignment.job)
      }
    }
  }

  /// Why an edit ends in the middle, for another worker to go on with.
  private struct Stopped: Error {}

  /// - Returns: `nil` where this worker is to stop, and somebody else will go on.
  private func outcome(of assignment: Assignment) -> WorkerMessage? {
    let job = assignment.job
    let cancellation = connection.cancellation(of: job)
    var throttle = ProgressThrottle()
    var wasStopped = false
    do {
      try cancellation.check()
      let figures = try performer.perform(
        assignment,
        EditReports(
          log: { level, line in
            connection.send(.log(job: job, level: level, message: Self.shortened(line)))
          },
          progress: { progress in
            jobAtHand.reach(progress.stage)
            try cancellation.check()
            if connection.isStopping {
              wasStopped = true
              throw Stopped()
            }
            if throttle.passes(progress, at: .now) {
              connection.send(.progress(job: job, progress))
            }
          },
          wantsCheckpoint: { connection.isStopping },
          checkpointed: { progress, files in
            connection.send(.checkpoint(job: job, progress, files: files))
          }))
      return .done(job: job, figures: figures)
    } catch {
      // Whatever a cancellation makes fail is its doing.
      if cancellation.isCancelled { return .cancelled(job: job) }
      if wasStopped { return nil }
      return .failed(
        job: job, error: Self.shortened(Self.sentence(for: error)), mayPass: Self.mayPass(error),
        reason: Self.reason(for: error))
    }
  }

  private static func sentence(for error: any Error) -> String {
    error is CancellationError ? "The edit was interrupted." : String(describing: error)
  }

  private static func mayPass(_ error: any Error) -> Bool {
    switch error {
    case let failure as EditFailure: failure.mayPass
    // The daemon or the way to it is at fault.
    case is MessagingError: true
    case is CancellationError: true
    case let error as POSIXError:
      [.ENOSPC, .EDQUOT, .ENOMEM, .EAGAIN, .EMFILE, .ENFILE].contains(error.code)
    case let error as CocoaError: error.code == .fileWriteOutOfSpace
    default: false
    }
  }

  private static func reason(for error: any Error) -> FailureReason? {
    switch error {
    case let failure as EditFailure: failure.reason
    case let error as POSIXError:
      switch error.code {
      case .ENOSPC, .EDQUOT: .diskFull
      case .ENOMEM: .outOfMemory
      default: nil
      }
    case let error as CocoaError where error.code == .fileWriteOutOfSpace: .diskFull
    default: nil
    }
  }

  /// A message must fit into a frame whatever an error has to say.
  private static func shortened(_ text: String) -> String {
    let longest = 4000
    return text.unicodeScalars.count > longest
      ? String(String.UnicodeScalarView(text.unicodeScalars.prefix(longest))) + "…" : text
  }
}

/// Lets through what a person can follow: five messages a second, and every change of stage.
struct ProgressThrottle {
  private var last: (stage: EditProgress.Stage, time: SuspendingClock.Instant)?

  mutating func passes(_ progress: EditProgress, at time: SuspendingClock.Instant) -> Bool {
    if let last, last.stage == progress.stage, time - last.time < .milliseconds(200) {
      return false
    }
    last = (progress.stage, time)
    return true
  }
}

import EditSettings
import JobQueue
import Logging
import Synchronization

/// The job that is worked on, for the lines of threads that have to do with all of them.
final class JobAtHand: Sendable {
  private struct State {
    var current: Logger.Metadata?
    var latest: Logger.Metadata?
  }
  private let state = Mutex(State())

  func begin(_ job: JobID) { set(["job": "\(job)"]) }

  func reach(_ stage: EditProgress.Stage) {
    guard var metadata else { return }
    metadata["stage"] = "\(stage.rawValue)"
    set(metadata)
  }

  func end() { state.withLock { $0.current = nil } }

  /// `job` and, once it has begun with one, `stage`; `nil` between two jobs.
  var metadata: Logger.Metadata? { state.withLock { $0.current } }

  /// The same of the job before where there is none at hand: what it made somebody say is heard a
  /// moment later.
  var latestMetadata: Logger.Metadata? { state.withLock { $0.latest } }

  private func set(_ metadata: Logger.Metadata) {
    state.withLock { ($0.current, $0.latest) = (metadata, metadata) }
  }
}

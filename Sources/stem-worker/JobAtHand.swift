import JobQueue
import Logging
import Synchronization

/// The job that is worked on, for the lines of threads that have to do with all of them.
final class JobAtHand: Sendable {
  private let job = Mutex<JobID?>(nil)

  func set(_ job: JobID?) { self.job.withLock { $0 = job } }

  var metadata: Logger.Metadata? { job.withLock { $0.map { ["job": "\($0)"] } } }
}

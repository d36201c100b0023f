import EditSettings
import Foundation
import JobQueue
import Messaging

/// A worker that has introduced itself, the daemon's own or one that was started by hand.
struct Worker {
  let name: String
  let pid: pid_t
  let threads: Int
  var lastHeard: ContinuousClock.Instant
  var work: Work?

  /// The job that it was given.
  struct Work {
    let assignment: Assignment
    var given: ContinuousClock.Instant
    var progress: EditProgress?
    /// When it was told to cancel it.
    var cancelled: ContinuousClock.Instant?
  }

  var identity: Data { Data(name.utf8) }
  var status: WorkerStatus {
    WorkerStatus(
      name: name, pid: pid, threads: threads, job: work?.assignment.job, progress: work?.progress)
  }
}

/// The times that the daemon keeps with its workers.
enum WorkerTimes {
  /// A worker that has not introduced itself for this long after its start is killed.
  static let introduction = Duration.seconds(30)
  static let silence = Duration.seconds(Heartbeat.timeout)
  /// A worker that still has a job for this long after it was told to cancel it is killed.
  static let cancellation = Duration.seconds(30)
  /// An assignment that a worker does not know of after this time has got lost on its way.
  static let assignment = Duration.seconds(3)
  static let stop = Duration.seconds(5)
  static let restartPauses = Duration.milliseconds(100)...Duration.seconds(30)
  /// A worker that lived for this long did not die young.
  static let youth = Duration.seconds(10)
}

import EditSettings
import Foundation
import JobQueue
import Messaging

/// A worker that has introduced itself, the daemon's own or another.
struct Worker {
  let name: String
  let pid: pid_t
  let threads: Int
  /// Which of the daemon's worker sockets it is connected to; the first one is for this machine.
  let socket: Int
  /// Whether it sees the spool's files itself.
  let seesSpool: Bool
  var lastHeard: ContinuousClock.Instant
  var work: Work?

  /// The job that it was given.
  struct Work {
    let assignment: Assignment
    let client: String
    let began: ContinuousClock.Instant
    /// Seconds that the job ran in earlier attempts.
    let ranBefore: Double
    var given: ContinuousClock.Instant
    var progress: EditProgress?
    /// Where the last checkpoint of this attempt stands, and since when.
    var checkpoint: (progress: EditProgress, at: ContinuousClock.Instant)?
    /// When it was told to cancel it.
    var cancelled: ContinuousClock.Instant?
    /// The limit that it exceeded, as a sentence.
    var exceeded: String?

    func ran(until now: ContinuousClock.Instant) -> Double { (now - began) / .seconds(1) }
  }

  var identity: Data { Data(name.utf8) }
  var status: WorkerStatus {
    WorkerStatus(
      name: name, pid: pid, threads: threads, remote: !seesSpool, job: work?.assignment.job,
      progress: work?.progress)
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

import Messaging

/// The times that the daemon keeps with its workers.
enum WorkerTimes {
  /// A worker that has not introduced itself for this long after its start is killed.
  static let introduction = Duration.seconds(30)
  static let silence = Duration.seconds(Heartbeat.timeout)
  /// A worker that still has a job for this long after it was told to cancel it is killed.
  static let cancellation = Duration.seconds(30)
  /// An assignment that a worker does not know of after this time has got lost on its way.
  static let assignment = Duration.seconds(3)
  /// A worker that does not take its job when it was given to it so often will not.
  static let mostAssignments = 5
  /// A worker that could not do so many jobs in a row gets none for a while: it is not the jobs.
  static let mostUnfit = 2
  static let rest = Duration.seconds(60)
  /// A worker of its own that has not exited for this long after it was told to stop is killed.
  static let stop = Duration.seconds(Heartbeat.stop + 2)
  static let restartPauses = Duration.milliseconds(100)...Duration.seconds(30)
  /// A worker that lived for this long did not die young.
  static let youth = Duration.seconds(10)
}

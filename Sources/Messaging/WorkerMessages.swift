import EditSettings
import Foundation
import JobQueue

/// What a worker tells the daemon. One JSON frame a message; the socket is a DEALER on
/// `SpoolFolders.workerEndpoint` whose routing id is the worker's name, so that the daemon
/// recognises it after a reconnection.
public enum WorkerMessage: Codable, Sendable, Equatable {
  /// The first message on a connection, and again after the daemon asked for it
  /// (`DaemonMessage.introduce`).
  case ready(pid: Int32, threads: Int)
  /// At least every `Heartbeat.interval`, from a thread that computing cannot hold up; `job` is
  /// what it is working on.
  case heartbeat(job: JobID?)
  case progress(job: JobID, EditProgress)
  /// A line for the job's log and the journal.
  case log(job: JobID, level: LogLevel, message: String)
  /// The result's files are complete and synced in the assignment's `resultFolder`.
  case done(job: JobID, figures: EditFigures)
  /// `mayPass`: another attempt may succeed (out of memory, disk full); otherwise the input itself
  /// is at fault.
  case failed(job: JobID, error: String, mayPass: Bool)
  case cancelled(job: JobID)
}

/// What the daemon tells a worker.
public enum DaemonMessage: Codable, Sendable, Equatable {
  /// A worker has one assignment at a time: another one takes the place of the one at hand, of
  /// which nothing more is then said.
  case run(Assignment)
  case cancel(job: JobID)
  case heartbeat
  /// The daemon does not know this worker (it restarted): introduce yourself again.
  case introduce
  /// Finish nothing, save nothing further, exit.
  case stop
}

/// A job as a worker gets it.
public struct Assignment: Codable, Sendable, Equatable {
  public var job: JobID
  public var settings: EditSettings
  /// Absolute path of the clip, a regular file in the job's work folder.
  public var sourcePath: String
  /// Absolute path of an existing folder; the worker puts `edited.mp4` there (written aside,
  /// synced, renamed).
  public var resultFolder: String
  /// Absolute path of the model folder.
  public var modelFolder: String

  public init(
    job: JobID, settings: EditSettings, sourcePath: String, resultFolder: String,
    modelFolder: String
  ) {
    self.job = job
    self.settings = settings
    self.sourcePath = sourcePath
    self.resultFolder = resultFolder
    self.modelFolder = modelFolder
  }
}

public enum LogLevel: String, Codable, Sendable {
  case debug, info, notice, warning, error
}

/// The times both sides of the worker socket keep to.
public enum Heartbeat {
  /// Seconds between heartbeats.
  public static let interval = 1.0
  /// A side that was silent for this long is taken for dead.
  public static let timeout = 10.0
}

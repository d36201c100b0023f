import EditSettings
import Foundation
import JobQueue

/// What a client asks the daemon. One JSON frame a message; the client's socket is a DEALER on
/// `SpoolFolders.controlEndpoint`. Every request has exactly one reply, in order, but for `watch`,
/// which is followed by events.
public enum ControlRequest: Codable, Sendable, Equatable {
  /// A clip that the client has placed in the inbox under a temporary name (`stagedName`, a plain
  /// file name that the inbox ignores). The daemon claims it by rename and answers with the job;
  /// `name` is the clip's file name as the user knows it.
  case submit(stagedName: String, name: String, settings: EditSettings)
  /// One job, or the daemon as a whole.
  case status(job: JobID?)
  /// Jobs in the order of their acceptance, the newest `limit` of them.
  case list(states: [JobState]?, limit: Int)
  /// Events of one job, or of all, until the client disconnects or says `unwatch`; a job's last
  /// event has a final state. Watching lasts `Watching.lease` seconds from the last request that
  /// this client sent.
  case watch(job: JobID?)
  case unwatch
  case cancel(job: JobID)
}

public enum ControlReply: Codable, Sendable, Equatable {
  case job(Job)
  case jobs([Job])
  case daemon(DaemonStatus)
  case watching
  case unwatched
  /// A job changed or moved on; only after `watching`.
  case event(Job)
  /// The request was refused; one sentence that says why and what to do.
  case refused(String)
}

public struct DaemonStatus: Codable, Sendable, Equatable {
  public var version: String
  public var pid: Int32
  public var started: Date
  public var jobsByState: [String: Int]
  public var workers: [WorkerStatus]

  public init(
    version: String, pid: Int32, started: Date, jobsByState: [String: Int], workers: [WorkerStatus]
  ) {
    self.version = version
    self.pid = pid
    self.started = started
    self.jobsByState = jobsByState
    self.workers = workers
  }
}

public struct WorkerStatus: Codable, Sendable, Equatable {
  public var name: String
  public var pid: Int32
  public var threads: Int
  public var job: JobID?
  public var progress: EditProgress?

  public init(name: String, pid: Int32, threads: Int, job: JobID?, progress: EditProgress?) {
    self.name = name
    self.pid = pid
    self.threads = threads
    self.job = job
    self.progress = progress
  }
}

public enum Watching {
  public static let lease = 30.0
}

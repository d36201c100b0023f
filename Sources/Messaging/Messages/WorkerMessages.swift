import EditSettings
import Foundation
import JobQueue

/// What a worker tells the daemon; Docs/protocol.md says what each means. The socket is a DEALER
/// whose routing id is the worker's name, so that the daemon recognises it after a reconnection.
public enum WorkerMessage: Sendable, Equatable {
  /// The first message on a connection, and again after the daemon asked for it
  /// (`DaemonMessage.introduce`).
  /// - spool: it sees the daemon's files under the same paths.
  case ready(pid: Int32, threads: Int, spool: Bool)
  /// At least every `Heartbeat.interval`, from a thread that computing cannot hold up; `job` is
  /// what it is working on.
  /// - quiet: for how many seconds its computation has not moved on; `nil` while it does.
  case heartbeat(job: JobID?, quiet: Double? = nil)
  /// Somebody told it to end: another worker is to go on with its job.
  case leaving
  case progress(job: JobID, EditProgress)
  /// What was worked out up to there is safe. Without the spool, `files` are the checkpoint's; what
  /// else was put there is of no more use.
  case checkpoint(job: JobID, EditProgress, files: [String]? = nil)
  /// A line for the job's log and the journal.
  case log(job: JobID, level: LogLevel, message: String)
  /// The result's files are complete and synced.
  case done(job: JobID, figures: EditFigures)
  /// `mayPass`: another attempt may succeed (out of memory, disk full); otherwise the input itself
  /// is at fault.
  case failed(job: JobID, error: String, mayPass: Bool, reason: FailureReason? = nil)
  case cancelled(job: JobID)
  /// Without the spool: asks for a part of a file.
  case get(job: JobID, file: String, offset: Int)
  /// Without the spool: the body is a part of a file of `bytes` in all.
  case put(job: JobID, file: String, offset: Int, bytes: Int)
}

/// What will pass by itself.
public enum FailureReason: String, Codable, Sendable {
  case diskFull = "disk_full"
  case outOfMemory = "out_of_memory"
  /// It is this worker that cannot do it: another may.
  case workerUnfit = "worker_unfit"
}

/// What the daemon tells a worker.
public enum DaemonMessage: Sendable, Equatable {
  /// A worker has one assignment at a time: another one takes the place of the one at hand, of
  /// which nothing more is then said.
  case run(Assignment)
  case cancel(job: JobID)
  case heartbeat
  /// The daemon does not know this worker (it restarted): introduce yourself again.
  case introduce
  /// Leave a checkpoint at the end of the step, and exit, within `Heartbeat.stop`.
  case stop
  /// The body holds the bytes of a file from `offset` on, of `bytes` in all.
  case data(job: JobID, file: String, offset: Int, bytes: Int)
  /// The file has `offset` bytes now.
  case stored(job: JobID, file: String, offset: Int)
  /// A `get` or `put` that cannot be granted.
  case gone(job: JobID, file: String, message: String)
}

/// The times both sides of the worker socket keep to.
public enum Heartbeat {
  /// Seconds between heartbeats.
  public static let interval = 1.0
  /// A side that was silent for this long is taken for dead.
  public static let timeout = 10.0
  /// A worker that is told to stop has this long until it exits, whatever its computation does.
  public static let stop = 5.0
}

extension WorkerMessage: Codable {
  private enum Kind: String, Codable {
    case ready, heartbeat, leaving, progress, checkpoint, log, done, failed, cancelled, get, put
  }

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: MessageField.self)
    let type = try fields.decode(String.self, forKey: .type)
    guard let kind = Kind(rawValue: type) else {
      throw Refusal(
        .unknown, "There is no worker's message '\(displayName(String(type.prefix(40))))'.")
    }
    func job() throws -> JobID { try fields.decode(JobID.self, forKey: .job) }
    func number(_ field: MessageField) throws -> Int { try fields.decode(Int.self, forKey: field) }
    func text(_ field: MessageField) throws -> String {
      try fields.decode(String.self, forKey: field)
    }
    func progress() throws -> EditProgress {
      try fields.decode(EditProgress.self, forKey: .progress)
    }
    switch kind {
    case .ready:
      self = .ready(
        pid: try fields.decode(Int32.self, forKey: .pid), threads: try number(.threads),
        spool: try fields.decodeIfPresent(Bool.self, forKey: .spool) ?? false)
    case .heartbeat:
      self = .heartbeat(
        job: try fields.decodeIfPresent(JobID.self, forKey: .job),
        quiet: try fields.decodeIfPresent(Double.self, forKey: .quiet))
    case .leaving: self = .leaving
    case .progress: self = .progress(job: try job(), try progress())
    case .checkpoint:
      self = .checkpoint(
        job: try job(), try progress(),
        files: try fields.decodeIfPresent([String].self, forKey: .files))
    case .log:
      self = .log(
        job: try job(), level: try fields.decode(LogLevel.self, forKey: .level),
        message: try text(.message))
    case .done:
      self = .done(
        job: try job(), figures: try fields.decode(EditFigures.self, forKey: .figures))
    case .failed:
      self = .failed(
        job: try job(), error: try text(.error),
        mayPass: try fields.decode(Bool.self, forKey: .mayPass),
        reason: (try fields.decodeIfPresent(String.self, forKey: .reason))
          .flatMap(FailureReason.init(rawValue:)))
    case .cancelled: self = .cancelled(job: try job())
    case .get:
      self = .get(job: try job(), file: try text(.file), offset: try number(.offset))
    case .put:
      self = .put(
        job: try job(), file: try text(.file), offset: try number(.offset),
        bytes: try number(.bytes))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: MessageField.self)
    func type(_ kind: Kind, _ job: JobID? = nil) throws {
      try fields.encode(kind, forKey: .type)
      try fields.encodeIfPresent(job, forKey: .job)
    }
    switch self {
    case .ready(let pid, let threads, let spool):
      try type(.ready)
      try fields.encode(pid, forKey: .pid)
      try fields.encode(threads, forKey: .threads)
      try fields.encode(spool, forKey: .spool)
    case .heartbeat(let job, let quiet):
      try type(.heartbeat, job)
      try fields.encodeIfPresent(quiet, forKey: .quiet)
    case .leaving: try type(.leaving)
    case .progress(let job, let progress):
      try type(.progress, job)
      try fields.encode(progress, forKey: .progress)
    case .checkpoint(let job, let progress, let files):
      try type(.checkpoint, job)
      try fields.encode(progress, forKey: .progress)
      try fields.encodeIfPresent(files, forKey: .files)
    case .log(let job, let level, let message):
      try type(.log, job)
      try fields.encode(level, forKey: .level)
      try fields.encode(message, forKey: .message)
    case .done(let job, let figures):
      try type(.done, job)
      try fields.encode(figures, forKey: .figures)
    case .failed(let job, let error, let mayPass, let reason):
      try type(.failed, job)
      try fields.encode(error, forKey: .error)
      try fields.encode(mayPass, forKey: .mayPass)
      try fields.encodeIfPresent(reason, forKey: .reason)
    case .cancelled(let job): try type(.cancelled, job)
    case .get(let job, let file, let offset):
      try type(.get, job)
      try fields.encode(file, forKey: .file)
      try fields.encode(offset, forKey: .offset)
    case .put(let job, let file, let offset, let bytes):
      try type(.put, job)
      try fields.encode(file, forKey: .file)
      try fields.encode(offset, forKey: .offset)
      try fields.encode(bytes, forKey: .bytes)
    }
  }
}

extension DaemonMessage: Codable {
  private enum Kind: String, Codable {
    case run, cancel, heartbeat, introduce, stop, data, stored, gone
  }

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: MessageField.self)
    let type = try fields.decode(String.self, forKey: .type)
    guard let kind = Kind(rawValue: type) else {
      throw Refusal(
        .unknown, "There is no daemon's message '\(displayName(String(type.prefix(40))))'.")
    }
    func job() throws -> JobID { try fields.decode(JobID.self, forKey: .job) }
    func file() throws -> String { try fields.decode(String.self, forKey: .file) }
    func number(_ field: MessageField) throws -> Int { try fields.decode(Int.self, forKey: field) }
    switch kind {
    case .run: self = .run(try Assignment(from: decoder))
    case .cancel: self = .cancel(job: try job())
    case .heartbeat: self = .heartbeat
    case .introduce: self = .introduce
    case .stop: self = .stop
    case .data:
      self = .data(
        job: try job(), file: try file(), offset: try number(.offset), bytes: try number(.bytes))
    case .stored: self = .stored(job: try job(), file: try file(), offset: try number(.offset))
    case .gone:
      self = .gone(
        job: try job(), file: try file(), message: try fields.decode(String.self, forKey: .message))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: MessageField.self)
    func type(_ kind: Kind, _ job: JobID? = nil, file: String? = nil) throws {
      try fields.encode(kind, forKey: .type)
      try fields.encodeIfPresent(job, forKey: .job)
      try fields.encodeIfPresent(file, forKey: .file)
    }
    switch self {
    case .run(let assignment):
      try type(.run)
      try assignment.encode(to: encoder)
    case .cancel(let job): try type(.cancel, job)
    case .heartbeat: try type(.heartbeat)
    case .introduce: try type(.introduce)
    case .stop: try type(.stop)
    case .data(let job, let file, let offset, let bytes):
      try type(.data, job, file: file)
      try fields.encode(offset, forKey: .offset)
      try fields.encode(bytes, forKey: .bytes)
    case .stored(let job, let file, let offset):
      try type(.stored, job, file: file)
      try fields.encode(offset, forKey: .offset)
    case .gone(let job, let file, let message):
      try type(.gone, job, file: file)
      try fields.encode(message, forKey: .message)
    }
  }
}

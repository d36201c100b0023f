import EditSettings
import Foundation
import JobQueue
import ServiceConfiguration

/// What the daemon answers a client; Docs/protocol.md says what each means.
public enum ControlReply: Sendable, Equatable {
  /// - known: `true` where an earlier request with the same key made the job.
  case job(Job, known: Bool = false)
  case jobs([Job], more: Bool)
  case daemon(DaemonStatus)
  case workers([WorkerStatus])
  case stats(ServiceStatistics)
  case config([ConfigurationValue])
  case upload(String, received: Int, credit: Int)
  case credit(upload: String, received: Int, credit: Int)
  case abandoned
  case watching
  case unwatched
  /// A job changed or moved on; `missed` events before it could not be sent.
  case event(Job, missed: Int = 0)
  case files(job: JobID, [ResultFile])
  /// The message's body holds the bytes from `offset` on, of `bytes` in all.
  case data(job: JobID, file: String, offset: Int, bytes: Int)
  case error(Refusal)
}

public struct DaemonStatus: Codable, Sendable, Equatable {
  public var version: String
  public var pid: Int32
  public var started: Date
  public var mode: DaemonMode
  public var jobs: [String: Int]
  /// `nil` for who may not know of them.
  public var workers: [WorkerStatus]?

  public init(
    version: String, pid: Int32, started: Date, mode: DaemonMode, jobs: [String: Int],
    workers: [WorkerStatus]?
  ) {
    self.version = version
    self.pid = pid
    self.started = started
    self.mode = mode
    self.jobs = jobs
    self.workers = workers
  }
}

public struct WorkerStatus: Codable, Sendable, Equatable {
  public var name: String
  public var pid: Int32
  public var threads: Int
  /// Whether it gets clips and gives results over the socket.
  public var remote: Bool
  public var job: JobID?
  public var progress: EditProgress?

  public init(
    name: String, pid: Int32, threads: Int, remote: Bool = false, job: JobID?,
    progress: EditProgress?
  ) {
    self.name = name
    self.pid = pid
    self.threads = threads
    self.remote = remote
    self.job = job
    self.progress = progress
  }
}

/// The store's statistics, and what only the running daemon knows.
public struct ServiceStatistics: Sendable, Equatable {
  public var store: JobStatistics
  public var uploads: Int
  public var eventsMissed: Int

  public init(store: JobStatistics, uploads: Int, eventsMissed: Int) {
    (self.store, self.uploads, self.eventsMissed) = (store, uploads, eventsMissed)
  }
}

extension ServiceStatistics: Codable {
  private enum Key: String, CodingKey {
    case uploads
    case eventsMissed = "events_missed"
  }

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: Key.self)
    self.init(
      store: try JobStatistics(from: decoder),
      uploads: try fields.decode(Int.self, forKey: .uploads),
      eventsMissed: try fields.decode(Int.self, forKey: .eventsMissed))
  }

  public func encode(to encoder: any Encoder) throws {
    try store.encode(to: encoder)
    var fields = encoder.container(keyedBy: Key.self)
    try fields.encode(uploads, forKey: .uploads)
    try fields.encode(eventsMissed, forKey: .eventsMissed)
  }
}

public enum Watching {
  /// Seconds that a watch lasts from its client's last request.
  public static let lease = 30.0
}

/// An answer with the name of the request that it answers.
public struct NamedReply: Sendable, Equatable {
  public var id: String?
  public var reply: ControlReply

  public init(_ reply: ControlReply, id: String? = nil) { (self.id, self.reply) = (id, reply) }
}

extension NamedReply: Codable {
  private enum Kind: String, Codable {
    case job, jobs, daemon, workers, stats, config, upload, credit, abandoned, watching, unwatched,
      event, files, data, error
  }

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: MessageField.self)
    id = try fields.decodeIfPresent(String.self, forKey: .id)
    func job() throws -> Job { try fields.decode(Job.self, forKey: .job) }
    func number(_ field: MessageField) throws -> Int { try fields.decode(Int.self, forKey: field) }
    func text(_ field: MessageField) throws -> String {
      try fields.decode(String.self, forKey: field)
    }
    switch try fields.decode(Kind.self, forKey: .type) {
    case .job:
      reply = .job(
        try job(), known: try fields.decodeIfPresent(Bool.self, forKey: .known) ?? false)
    case .jobs:
      reply = .jobs(
        try fields.decode([Job].self, forKey: .jobs),
        more: try fields.decodeIfPresent(Bool.self, forKey: .more) ?? false)
    case .daemon: reply = .daemon(try DaemonStatus(from: decoder))
    case .workers: reply = .workers(try fields.decode([WorkerStatus].self, forKey: .workers))
    case .stats: reply = .stats(try ServiceStatistics(from: decoder))
    case .config: reply = .config(try fields.decode([ConfigurationValue].self, forKey: .values))
    case .upload:
      reply = .upload(
        try text(.upload), received: try number(.received), credit: try number(.credit))
    case .credit:
      reply = .credit(
        upload: try text(.upload), received: try number(.received), credit: try number(.credit))
    case .abandoned: reply = .abandoned
    case .watching: reply = .watching
    case .unwatched: reply = .unwatched
    case .event:
      reply = .event(
        try job(), missed: try fields.decodeIfPresent(Int.self, forKey: .missed) ?? 0)
    case .files:
      reply = .files(
        job: try fields.decode(JobID.self, forKey: .job),
        try fields.decode([ResultFile].self, forKey: .files))
    case .data:
      reply = .data(
        job: try fields.decode(JobID.self, forKey: .job), file: try text(.file),
        offset: try number(.offset), bytes: try number(.bytes))
    case .error:
      reply = .error(
        Refusal(
          try fields.decodeIfPresent(Refusal.Code.self, forKey: .code) ?? .unavailable,
          try text(.message), limit: try fields.decodeIfPresent(String.self, forKey: .limit),
          received: try fields.decodeIfPresent(Int.self, forKey: .received)))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: MessageField.self)
    try fields.encodeIfPresent(id, forKey: .id)
    try fields.encode(kind, forKey: .type)
    switch reply {
    case .job(let job, let known):
      try fields.encode(job, forKey: .job)
      if known { try fields.encode(true, forKey: .known) }
    case .jobs(let jobs, let more):
      try fields.encode(jobs, forKey: .jobs)
      try fields.encode(more, forKey: .more)
    case .daemon(let status): try status.encode(to: encoder)
    case .workers(let workers): try fields.encode(workers, forKey: .workers)
    case .stats(let statistics): try statistics.encode(to: encoder)
    case .config(let values): try fields.encode(values, forKey: .values)
    case .upload(let upload, let received, let credit),
      .credit(let upload, let received, let credit):
      try fields.encode(upload, forKey: .upload)
      try fields.encode(received, forKey: .received)
      try fields.encode(credit, forKey: .credit)
    case .abandoned, .unwatched: break
    case .watching: try fields.encode(Watching.lease, forKey: .lease)
    case .event(let job, let missed):
      try fields.encode(job, forKey: .job)
      if missed > 0 { try fields.encode(missed, forKey: .missed) }
    case .files(let job, let files):
      try fields.encode(job, forKey: .job)
      try fields.encode(files, forKey: .files)
    case .data(let job, let file, let offset, let bytes):
      try fields.encode(job, forKey: .job)
      try fields.encode(file, forKey: .file)
      try fields.encode(offset, forKey: .offset)
      try fields.encode(bytes, forKey: .bytes)
    case .error(let refusal):
      try fields.encode(refusal.code, forKey: .code)
      try fields.encode(refusal.description, forKey: .message)
      try fields.encodeIfPresent(refusal.limit, forKey: .limit)
      try fields.encodeIfPresent(refusal.received, forKey: .received)
    }
  }

  private var kind: Kind {
    switch reply {
    case .job: .job
    case .jobs: .jobs
    case .daemon: .daemon
    case .workers: .workers
    case .stats: .stats
    case .config: .config
    case .upload: .upload
    case .credit: .credit
    case .abandoned: .abandoned
    case .watching: .watching
    case .unwatched: .unwatched
    case .event: .event
    case .files: .files
    case .data: .data
    case .error: .error
    }
  }
}

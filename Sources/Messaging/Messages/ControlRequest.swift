import EditSettings
import Foundation
import JobQueue

/// What a client asks the daemon; Docs/protocol.md says what each means.
public enum ControlRequest: Sendable, Equatable {
  case submit(SubmitRequest)
  /// Its bytes are the message's body.
  case chunk(upload: String, offset: Int)
  case abandon(upload: String)
  /// One job, or the daemon as a whole.
  case status(job: JobID?)
  case list(JobFilter)
  case cancel(job: JobID)
  case retry(job: JobID, key: String? = nil, priority: Int? = nil)
  case watch(job: JobID?)
  case unwatch
  case files(job: JobID)
  case fetch(job: JobID, file: String, offset: Int, length: Int)
  case workers, stats, config, pause, resume, drain
}

public struct SubmitRequest: Sendable, Equatable {
  /// Where the clip is.
  public enum Clip: Sendable, Equatable {
    /// The message's body is the clip.
    case body
    /// So many bytes follow in chunks.
    case upload(bytes: Int)
    /// A file that the daemon can read.
    case path(String)
    /// A file in the inbox under a temporary name.
    case staged(String)
  }

  /// The clip's file name as the user knows it.
  public var name: String
  public var settings: EditSettings
  public var key: String?
  public var priority: Int
  public var clip: Clip

  public init(
    name: String, settings: EditSettings, key: String? = nil, priority: Int = 0, clip: Clip
  ) {
    self.name = name
    self.settings = settings
    self.key = key
    self.priority = priority
    self.clip = clip
  }
}

/// A request with the name that its client gave it, to tell its answer from others'.
public struct NamedRequest: Sendable, Equatable {
  public static let longestID = 64

  public var id: String?
  public var request: ControlRequest

  public init(_ request: ControlRequest, id: String? = nil) {
    (self.id, self.request) = (id, request)
  }
}

extension NamedRequest: Codable {
  private enum Kind: String {
    case submit, chunk, abandon, status, list, cancel, retry, watch, unwatch, files, fetch, workers,
      stats, config, pause, resume, drain
  }

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: MessageField.self)
    id = try fields.decodeIfPresent(String.self, forKey: .id)
    if let id, id.utf8.count > Self.longestID {
      throw Refusal(.malformed, "An id has at most \(Self.longestID) bytes, not \(id.utf8.count).")
    }
    let type = try fields.decode(String.self, forKey: .type)
    guard let kind = Kind(rawValue: type) else {
      throw Refusal(
        .unknown, "There is no request '\(displayName(String(type.prefix(40))))'.")
    }
    func job() throws -> JobID { try fields.decode(JobID.self, forKey: .job) }
    switch kind {
    case .submit: request = .submit(try SubmitRequest(fields))
    case .chunk:
      request = .chunk(
        upload: try fields.decode(String.self, forKey: .upload),
        offset: try fields.decode(Int.self, forKey: .offset))
    case .abandon: request = .abandon(upload: try fields.decode(String.self, forKey: .upload))
    case .status: request = .status(job: try fields.decodeIfPresent(JobID.self, forKey: .job))
    case .list: request = .list(try JobFilter(fields))
    case .cancel: request = .cancel(job: try job())
    case .retry:
      request = .retry(
        job: try job(), key: try fields.decodeIfPresent(String.self, forKey: .key),
        priority: try fields.decodeIfPresent(Int.self, forKey: .priority))
    case .watch: request = .watch(job: try fields.decodeIfPresent(JobID.self, forKey: .job))
    case .unwatch: request = .unwatch
    case .files: request = .files(job: try job())
    case .fetch:
      request = .fetch(
        job: try job(), file: try fields.decode(String.self, forKey: .file),
        offset: try fields.decode(Int.self, forKey: .offset),
        length: try fields.decode(Int.self, forKey: .length))
    case .workers: request = .workers
    case .stats: request = .stats
    case .config: request = .config
    case .pause: request = .pause
    case .resume: request = .resume
    case .drain: request = .drain
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: MessageField.self)
    try fields.encodeIfPresent(id, forKey: .id)
    func type(_ kind: Kind, _ job: JobID? = nil) throws {
      try fields.encode(kind.rawValue, forKey: .type)
      try fields.encodeIfPresent(job, forKey: .job)
    }
    switch request {
    case .submit(let submission):
      try type(.submit)
      try submission.encode(to: &fields)
    case .chunk(let upload, let offset):
      try type(.chunk)
      try fields.encode(upload, forKey: .upload)
      try fields.encode(offset, forKey: .offset)
    case .abandon(let upload):
      try type(.abandon)
      try fields.encode(upload, forKey: .upload)
    case .status(let job): try type(.status, job)
    case .list(let filter):
      try type(.list)
      try filter.encode(to: &fields)
    case .cancel(let job): try type(.cancel, job)
    case .retry(let job, let key, let priority):
      try type(.retry, job)
      try fields.encodeIfPresent(key, forKey: .key)
      try fields.encodeIfPresent(priority, forKey: .priority)
    case .watch(let job): try type(.watch, job)
    case .unwatch: try type(.unwatch)
    case .files(let job): try type(.files, job)
    case .fetch(let job, let file, let offset, let length):
      try type(.fetch, job)
      try fields.encode(file, forKey: .file)
      try fields.encode(offset, forKey: .offset)
      try fields.encode(length, forKey: .length)
    case .workers: try type(.workers)
    case .stats: try type(.stats)
    case .config: try type(.config)
    case .pause: try type(.pause)
    case .resume: try type(.resume)
    case .drain: try type(.drain)
    }
  }
}

extension SubmitRequest {
  fileprivate init(_ fields: MessageFields) throws {
    var clips: [Clip] = []
    if let bytes = try fields.decodeIfPresent(Int.self, forKey: .bytes) {
      clips.append(.upload(bytes: bytes))
    }
    if let path = try fields.decodeIfPresent(String.self, forKey: .path) {
      clips.append(.path(path))
    }
    if let name = try fields.decodeIfPresent(String.self, forKey: .staged) {
      clips.append(.staged(name))
    }
    guard clips.count <= 1 else {
      throw Refusal(.malformed, "A submit has one of 'bytes', 'path' and 'staged', not several.")
    }
    self.init(
      name: try fields.decode(String.self, forKey: .name),
      settings: try fields.decode(SettingsFields.self, forKey: .settings).settings,
      key: try fields.decodeIfPresent(String.self, forKey: .key),
      priority: try fields.decodeIfPresent(Int.self, forKey: .priority) ?? 0,
      clip: clips.first ?? .body)
  }

  fileprivate func encode(to fields: inout NewMessageFields) throws {
    try fields.encode(name, forKey: .name)
    try fields.encode(SettingsFields(settings), forKey: .settings)
    try fields.encodeIfPresent(key, forKey: .key)
    if priority != 0 { try fields.encode(priority, forKey: .priority) }
    switch clip {
    case .body: break
    case .upload(let bytes): try fields.encode(bytes, forKey: .bytes)
    case .path(let path): try fields.encode(path, forKey: .path)
    case .staged(let name): try fields.encode(name, forKey: .staged)
    }
  }
}

extension JobFilter {
  /// The most jobs that one list has.
  public static let longestList = 1000

  fileprivate init(_ fields: MessageFields) throws {
    self.init(
      states: try fields.decodeIfPresent([JobState].self, forKey: .states),
      client: try fields.decodeIfPresent(String.self, forKey: .client),
      name: try fields.decodeIfPresent(String.self, forKey: .name),
      after: try fields.decodeIfPresent(JobID.self, forKey: .after),
      before: try fields.decodeIfPresent(JobID.self, forKey: .before),
      order: try fields.decodeIfPresent(Order.self, forKey: .order) ?? .newest)
    if let limit = try fields.decodeIfPresent(Int.self, forKey: .limit) {
      guard (1...Self.longestList).contains(limit) else {
        throw Refusal(
          .malformed, "'limit' takes a whole number from 1 to \(Self.longestList), not \(limit).")
      }
      self.limit = limit
    }
  }

  fileprivate func encode(to fields: inout NewMessageFields) throws {
    try fields.encodeIfPresent(states, forKey: .states)
    try fields.encodeIfPresent(client, forKey: .client)
    try fields.encodeIfPresent(name, forKey: .name)
    try fields.encodeIfPresent(after, forKey: .after)
    try fields.encodeIfPresent(before, forKey: .before)
    if order != .newest { try fields.encode(order, forKey: .order) }
    try fields.encode(limit, forKey: .limit)
  }
}

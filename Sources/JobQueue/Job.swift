import EditSettings
import Foundation

/// One accepted request to edit one clip, from its claim to its delivery.
public struct Job: Sendable, Equatable, Identifiable {
  public var id: JobID
  /// The sidecar's name without its extension: the folder the user expects in the outbox.
  public var name: String
  /// The clip's file name as it was dropped, e.g. `clip.mp4`.
  public var sourceName: String
  public var state: JobState
  /// Who submitted it: `user:NAME` for a user of this machine, `key:NAME` for a key.
  public var client: String
  /// The client's own name for it, by which it may ask again.
  public var key: String?
  /// -100 … 100; the greater ones begin first.
  public var priority: Int
  /// `nil` where the sidecar could not be understood; such a job fails with `error` and is never
  /// dispatched.
  public var settings: EditSettings?
  /// How many times a worker began it.
  public var attempts: Int
  public var submitted: Date
  public var started: Date?
  public var finished: Date?
  public var progress: EditProgress?
  /// The worker that has it, while it runs.
  public var worker: String?
  /// Why it failed, as one sentence that says what to do.
  public var error: String?
  /// It failed because attempt after attempt failed for reasons that might have passed.
  public var isQuarantined: Bool
  /// The job that this one repeats.
  public var retryOf: JobID?
  /// The folder below the outbox that holds its result, once it is delivered.
  public var outboxName: String?

  public init(
    id: JobID, name: String, sourceName: String, state: JobState = .queued, client: String = "",
    settings: EditSettings?, submitted: Date
  ) {
    self.id = id
    self.name = name
    self.sourceName = sourceName
    self.state = state
    self.client = client
    self.priority = 0
    self.settings = settings
    self.attempts = 0
    self.isQuarantined = false
    self.submitted = submitted
  }
}

/// A short name, unique among all jobs of a spool and sorting by time of acceptance.
public struct JobID: RawRepresentable, Codable, Sendable, Hashable, CustomStringConvertible {
  public var rawValue: String
  public init(rawValue: String) { self.rawValue = rawValue }
  public var description: String { rawValue }
}

public enum JobState: String, Codable, Sendable, CaseIterable {
  case queued, running, done, failed, cancelled

  /// Whether a job in this state will never change again.
  public var isFinal: Bool { self == .done || self == .failed || self == .cancelled }
}

import EditSettings
import Foundation

/// A client's request to edit a clip.
public struct Submission: Sendable {
  public enum Clip: Sendable {
    /// The file's content.
    case bytes(Data)
    /// A file in the inbox under a plain name that the inbox ignores; it is moved.
    case staged(String)
    /// What came in over a socket.
    case upload(ClipUpload)
    /// A file that stays where it is: it gets a second name, or is copied.
    case linked(String)
  }

  /// The clip's file name as the user knows it.
  public var name: String
  public var settings: EditSettings
  public var client: String
  /// The client's own name for the job, by which it is made only once.
  public var key: String?
  public var priority: Int
  public var retryOf: JobID?
  public var clip: Clip

  public init(
    name: String, settings: EditSettings, client: String, key: String? = nil, priority: Int = 0,
    retryOf: JobID? = nil, clip: Clip
  ) {
    self.name = name
    self.settings = settings
    self.client = client
    self.key = key
    self.priority = priority
    self.retryOf = retryOf
    self.clip = clip
  }
}

public enum SubmissionOutcome: Sendable {
  /// - known: an earlier request had the same key.
  case accepted(Job, known: Bool)
  case refused(Refusal)
}

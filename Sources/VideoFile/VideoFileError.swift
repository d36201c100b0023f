/// What went wrong with a video file, as one sentence.
public struct VideoFileError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Who can do something about it.
  public enum Kind: String, Sendable, Codable, CaseIterable {
    /// The file itself, or what was asked of it: another attempt ends the same way.
    case input
    /// The file exceeds a limit, which the sentence names.
    case limit
    /// The process that reads strangers' bytes crashed on this file, or answered nonsense.
    case crashed
    /// The process gave no sign of life for too long.
    case stalled
    /// Memory, disk space or another resource of this machine was short: another attempt may
    /// succeed.
    case resources
    /// The process was stopped as it tried what reading a video never takes: the file may be made to
    /// take it over.
    case suspicious
  }

  public var kind: Kind
  /// The file's name.
  public var name: String
  /// The sentence without its subject: "is empty".
  public var problem: String

  public init(_ kind: Kind, name: String, problem: String) {
    self.kind = kind
    self.name = name
    self.problem = problem
  }

  /// Whether the same file may be read or written on another attempt.
  public var mayPass: Bool { kind == .resources || kind == .stalled }

  /// The whole sentence; the name is quoted, and its control characters are escaped.
  public var description: String { "\(name.debugDescription) \(problem)" }
}

/// A failure before the file's name is known: inside the decoder, the encoder or their process,
/// which see descriptors only.
struct VideoFailure: Error {
  var kind: VideoFileError.Kind
  var problem: String

  init(_ kind: VideoFileError.Kind, _ problem: String) {
    self.kind = kind
    self.problem = problem
  }

  func named(_ name: String) -> VideoFileError {
    VideoFileError(kind, name: name, problem: problem)
  }
}

/// Gives the failures of `body` the file's name.
func naming<Result: ~Copyable>(_ name: String, _ body: () throws -> Result) throws -> Result {
  do {
    return try body()
  } catch let failure as VideoFailure {
    throw failure.named(name)
  }
}

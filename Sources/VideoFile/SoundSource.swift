/// The file whose sound goes with a clip, and what part of it.
public struct SoundSource: Codable, Sendable, Equatable {
  /// Of a regular file, which is opened as `openVideo` does it; its first or default sound track
  /// counts.
  public var path: String
  /// What messages call the file, where that is not its own name.
  public var name: String?
  /// Where the clip's first frame is shown, in seconds on the file's own clock.
  public var start: Double
  /// Whether what sounds before the first frame is left out.
  public var isCutBefore: Bool
  /// Whether what sounds after the last frame is left out.
  public var isCutAfter: Bool

  public init(path: String, start: Double = 0, isCutBefore: Bool = false, isCutAfter: Bool = false)
  {
    (self.path, self.start) = (path, start)
    (self.isCutBefore, self.isCutAfter) = (isCutBefore, isCutAfter)
  }
}

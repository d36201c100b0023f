/// Where a clip comes from: how its file is shown, and what part of it the clip is.
public struct ClipSource: Sendable, Equatable {
  /// The size at which the file is shown, in pixels: upright, and with square pixels.
  public var width: Int
  public var height: Int
  /// When the clip's first frame is shown, in seconds on the file's own clock.
  public var start: Double
  /// Whether the file begins before the clip does.
  public var isCutBefore: Bool
  /// Whether the file may go on after the clip.
  public var isCutAfter: Bool

  public init(
    width: Int, height: Int, start: Double = 0, isCutBefore: Bool = false, isCutAfter: Bool = false
  ) {
    (self.width, self.height, self.start) = (width, height, start)
    (self.isCutBefore, self.isCutAfter) = (isCutBefore, isCutAfter)
  }

  /// The sound that belongs to the clip.
  public func sound(of path: String) -> SoundSource {
    SoundSource(path: path, start: start, isCutBefore: isCutBefore, isCutAfter: isCutAfter)
  }

  /// The size at which a video of the file's size can be written: its sides are even.
  public var evenSize: EncodingOptions.Size {
    func even(_ side: Int) -> Int { max(2, side + side % 2) }
    return EncodingOptions.Size(width: even(width), height: even(height))
  }
}

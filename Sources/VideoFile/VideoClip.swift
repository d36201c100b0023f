/// A clip in memory: RGB frames of one size, 8 bits a channel.
public struct VideoClip: Sendable {
  /// In pixels.
  public var width: Int
  public var height: Int
  public var timing: VideoTiming
  /// Row-major (frame, y, x, channel), channels red, green, blue; `frameCount * bytesPerFrame` of
  /// them.
  public var pixels: [UInt8]
  /// What a person should know about how the clip was read, a sentence each: that the file ends
  /// early, for example.
  public var warnings: [String]

  public init(
    width: Int, height: Int, timing: VideoTiming, pixels: [UInt8], warnings: [String] = []
  ) {
    self.width = width
    self.height = height
    self.timing = timing
    self.pixels = pixels
    self.warnings = warnings
  }

  public var frameCount: Int { timing.pts.count }

  public var bytesPerFrame: Int { width * height * 3 }
}

/// A clip in memory: RGB frames of one size, 8 bits a channel.
public struct VideoClip: Movie, Sendable {
  public var width: Int
  public var height: Int
  public var timing: VideoTiming
  /// Row-major (frame, y, x, channel), channels red, green, blue; `frameCount * bytesPerFrame` of
  /// them.
  public var pixels: [UInt8]
  public var colors: ColorTags
  /// What it is of the file that it was decoded from.
  public var source: ClipSource
  public var warnings: [String]

  public init(
    width: Int, height: Int, timing: VideoTiming, pixels: [UInt8],
    colors: ColorTags = .unspecified, source: ClipSource? = nil, warnings: [String] = []
  ) {
    self.width = width
    self.height = height
    self.timing = timing
    self.pixels = pixels
    self.colors = colors
    self.source = source ?? ClipSource(width: width, height: height)
    self.warnings = warnings
  }

  init(_ clip: CollectedClip<FrameArray>) {
    self.init(
      width: clip.width, height: clip.height, timing: clip.timing, pixels: clip.store.pixels,
      colors: clip.colors, source: clip.source, warnings: clip.warnings)
  }

  public var byteCount: Int { pixels.count }

  public func withFrames<Result>(
    _ frames: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    try pixels.withUnsafeBytes { bytes in
      try body(
        UnsafeRawBufferPointer(
          rebasing: bytes[frames.lowerBound * bytesPerFrame..<frames.upperBound * bytesPerFrame]))
    }
  }
}

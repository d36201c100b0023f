/// A clip in memory: RGB frames of one size, 8 bits a channel.
public struct VideoClip: Movie, Sendable {
  public var width: Int
  public var height: Int
  public var timing: VideoTiming
  /// Row-major (frame, y, x, channel), channels red, green, blue; `frameCount * bytesPerFrame` of
  /// them.
  public var pixels: [UInt8]
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

/// RGB frames of one size, 8 bits a channel, wherever they lie.
public protocol Movie {
  /// In pixels.
  var width: Int { get }
  var height: Int { get }
  var timing: VideoTiming { get }
  /// What the colours of the file are that the RGB was decoded from, and is to be coded in again.
  var colors: ColorTags { get }
  /// What a person should know about how the clip was read, a sentence each: that the file ends
  /// early, for example.
  var warnings: [String] { get }
  /// Bytes of all frames.
  var byteCount: Int { get }

  /// Frames' bytes, row-major (frame, y, x, channel), channels red, green, blue.
  /// - Throws: `VideoFileError` where they cannot be read.
  func withFrames<Result>(
    _ frames: Range<Int>, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result
}

extension Movie {
  public var frameCount: Int { timing.pts.count }
  public var bytesPerFrame: Int { width * height * 3 }
  public var colors: ColorTags { .unspecified }

  /// Sends the whole clip.
  /// - Parameter timing: in place of the clip's own.
  func write(to sink: inout some FrameSink, timing: VideoTiming) throws {
    try sink.begin(
      ClipHeader(
        width: width, height: height, timeBase: timing.timeBase, frameRate: timing.frameRate,
        expectedFrames: frameCount, colors: colors,
        source: ClipSource(width: width, height: height)))
    for index in 0..<frameCount {
      try withFrames(index..<index + 1) { try sink.append(pts: timing.pts[index], pixels: $0) }
    }
    try sink.finish(
      ClipTrailer(
        frameCount: frameCount, lastFrameDuration: timing.lastFrameDuration, warnings: warnings))
  }
}

/// A clip on its way from one place to the next: the decoder, the encoder and the stream between
/// processes all speak it.
///
/// `begin` comes first and once, then `append` for every frame in order, then `finish` if and only
/// if the clip is complete.
protocol FrameSink {
  mutating func begin(_ header: ClipHeader) throws
  /// `pixels` holds `header.bytesPerFrame` bytes, valid during the call only.
  mutating func append(pts: Int64, pixels: UnsafeRawBufferPointer) throws
  mutating func finish(_ trailer: ClipTrailer) throws
}

/// What is known of a clip before its first frame.
struct ClipHeader: Equatable {
  var width: Int
  var height: Int
  var timeBase: Rational
  var frameRate: Rational
  /// A guess, for reserving memory; 0 for unknown.
  var expectedFrames: Int
  /// What the file says that its colours are; what is sent is RGB in them.
  var colors = ColorTags.unspecified
  /// Without `isCutAfter`, which the trailer has.
  var source: ClipSource

  var bytesPerFrame: Int { width * height * 3 }
}

/// What is known of a clip after its last frame.
struct ClipTrailer: Equatable {
  var frameCount: Int
  var lastFrameDuration: Int64
  /// Whether the file may go on.
  var isCutAfter = false
  var warnings: [String]
}

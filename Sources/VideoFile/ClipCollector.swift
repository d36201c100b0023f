/// Gathers frames into a clip in memory, and holds whoever sends them to the options: it may be a
/// process that a hostile file has taken over.
struct ClipCollector: FrameSink {
  let options: DecodingOptions
  private var header: ClipHeader?
  private var pts: [Int64] = []
  private var pixels: [UInt8] = []
  private var trailer: ClipTrailer?

  init(options: DecodingOptions) { self.options = options }

  /// - Throws: where no complete clip has arrived.
  consuming func clip() throws -> VideoClip {
    guard let header, let trailer, !pts.isEmpty else {
      throw VideoFailure(.crashed, "was not decoded to its end")
    }
    return VideoClip(
      width: header.width, height: header.height,
      timing: VideoTiming(
        timeBase: header.timeBase, frameRate: header.frameRate, pts: pts,
        lastFrameDuration: trailer.lastFrameDuration),
      pixels: pixels, warnings: trailer.warnings)
  }

  mutating func begin(_ header: ClipHeader) throws {
    let sides = 1...DecodingOptions.longestSide
    guard self.header == nil, sides.contains(header.width), sides.contains(header.height),
      matchesRequest(header),
      header.timeBase.isPositive, header.frameRate.isPositive
    else { throw Self.nonsense("a header that was not asked for") }
    self.header = header
    let frames = min(max(0, header.expectedFrames), frameLimit)
    pixels.reserveCapacity(min(frames * header.bytesPerFrame, options.maximumBytes))
  }

  mutating func append(pts time: Int64, pixels frame: UnsafeRawBufferPointer) throws {
    guard let header, trailer == nil, frame.count == header.bytesPerFrame, time < 1 << 53 else {
      throw Self.nonsense("a frame out of place")
    }
    if let last = pts.last {
      guard time > last else { throw Self.nonsense("frames out of order") }
    } else if time != 0 {
      throw Self.nonsense("a first frame that is not at the start")
    }
    guard pts.count < frameLimit else { throw tooManyFrames }
    guard pixels.count + frame.count <= options.maximumBytes else {
      throw VideoFailure(
        .limit,
        "takes more than \(options.maximumBytes) bytes once decoded (maximumBytes); ask for fewer frames or a smaller size"
      )
    }
    pts.append(time)
    pixels.append(contentsOf: frame)
  }

  mutating func finish(_ trailer: ClipTrailer) throws {
    guard header != nil, self.trailer == nil, trailer.frameCount == pts.count,
      (1..<1 << 53).contains(trailer.lastFrameDuration)
    else { throw Self.nonsense("an end that does not match its frames") }
    self.trailer = trailer
  }

  private var frameLimit: Int { min(options.frames ?? .max, options.maximumFrames) }

  private var tooManyFrames: VideoFailure {
    VideoFailure(
      .limit,
      "has more than \(options.maximumFrames) frames, which is the limit (maximumFrames); cut it, or ask for fewer frames"
    )
  }

  private func matchesRequest(_ header: ClipHeader) -> Bool {
    switch options.size {
    case .source: header.width * header.height <= options.maximumPixels
    case .exactly(let width, let height): (header.width, header.height) == (width, height)
    case .fitting(_, let multiple): header.width % multiple == 0 && header.height % multiple == 0
    }
  }

  private static func nonsense(_ what: String) -> VideoFailure {
    VideoFailure(.crashed, "was not decoded: the decoder sent \(what)")
  }
}

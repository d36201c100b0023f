/// Where frames go as they come.
protocol FrameStore {
  var byteCount: Int { get }
  mutating func append(_ bytes: UnsafeRawBufferPointer) throws
}

/// Frames in memory.
struct FrameArray: FrameStore {
  private(set) var pixels: [UInt8] = []
  var byteCount: Int { pixels.count }
  mutating func append(_ bytes: UnsafeRawBufferPointer) throws { pixels.append(contentsOf: bytes) }
}

/// A clip that has arrived whole.
struct CollectedClip<Store: FrameStore> {
  let width, height: Int
  let timing: VideoTiming
  let colors: ColorTags
  let source: ClipSource
  let warnings: [String]
  let store: Store
}

/// Gathers frames into a clip, and holds whoever sends them to the options: it may be a
/// process that a hostile file has taken over.
struct ClipCollector<Store: FrameStore>: FrameSink {
  let options: DecodingOptions
  private var header: ClipHeader?
  private var pts: [Int64] = []
  private var store: Store
  private var trailer: ClipTrailer?

  init(options: DecodingOptions, store: Store) { (self.options, self.store) = (options, store) }

  /// - Throws: where no complete clip has arrived.
  consuming func clip() throws -> CollectedClip<Store> {
    guard let header, let trailer, !pts.isEmpty else {
      throw VideoFailure(.crashed, "was not decoded to its end")
    }
    var source = header.source
    source.isCutAfter = trailer.isCutAfter
    return CollectedClip(
      width: header.width, height: header.height,
      timing: VideoTiming(
        timeBase: header.timeBase, frameRate: header.frameRate, pts: pts,
        lastFrameDuration: trailer.lastFrameDuration
      ).steadied(), colors: header.colors, source: source,
      warnings: trailer.warnings, store: store)
  }

  mutating func begin(_ header: ClipHeader) throws {
    let sides = 1...DecodingOptions.longestSide
    guard self.header == nil, sides.contains(header.width), sides.contains(header.height),
      matchesRequest(header),
      header.timeBase.isPositive, header.frameRate.isPositive,
      sides.contains(header.source.width), sides.contains(header.source.height),
      abs(header.source.start) < Double(1 << 53) / 1e6
    else { throw Self.nonsense("a header that was not asked for") }
    self.header = header
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
    guard store.byteCount + frame.count <= options.maximumBytes else {
      throw VideoFailure(
        .limit,
        "takes more than \(options.maximumBytes) bytes once decoded (maximumBytes); ask for fewer frames or a smaller size"
      )
    }
    pts.append(time)
    try store.append(frame)
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
    case .fitting(_, let multiples):
      multiples.contains { header.width % $0 == 0 && header.height % $0 == 0 }
    case .shorterSide(let side, let multiple):
      min(header.width, header.height) == side
        && max(header.width, header.height) % multiple == 0
    }
  }

  private static func nonsense(_ what: String) -> VideoFailure {
    VideoFailure(.crashed, "was not decoded: the decoder sent \(what)")
  }
}

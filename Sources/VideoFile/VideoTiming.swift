/// When each frame of a clip is shown.
///
/// Invariants, which `VideoEncoder` checks: the time base and the frame rate are positive, the
/// first presentation time is 0, and each is greater than the one before it.
public struct VideoTiming: Sendable, Equatable {
  /// Seconds a tick.
  public var timeBase: Rational
  /// The nominal frame rate, in frames a second; of a clip with a variable rate, the container's
  /// average.
  public var frameRate: Rational
  /// Presentation time of each frame, in ticks.
  public var pts: [Int64]
  /// How long the last frame is shown, in ticks.
  public var lastFrameDuration: Int64

  public init(timeBase: Rational, frameRate: Rational, pts: [Int64], lastFrameDuration: Int64) {
    self.timeBase = timeBase
    self.frameRate = frameRate
    self.pts = pts
    self.lastFrameDuration = lastFrameDuration
  }

  /// A constant frame rate: a tick is a frame.
  public init(frameRate: Rational, frameCount: Int) {
    self.init(
      timeBase: Rational(frameRate.denominator, frameRate.numerator), frameRate: frameRate,
      pts: (0..<max(0, frameCount)).map(Int64.init), lastFrameDuration: 1)
  }

  /// Seconds from the first frame's appearance to the last one's end.
  public var duration: Double { Double((pts.last ?? 0) + lastFrameDuration) * timeBase.value }
}

extension VideoTiming {
  /// The same at a constant frame rate, a tick a frame, where the times are those of one and only
  /// rounded to the ticks of their file, as to Matroska's milliseconds.
  func steadied() -> VideoTiming {
    let ticksPerFrame = 1 / (frameRate.value * timeBase.value)
    func isNear(_ time: Int64, frames: Int) -> Bool {
      abs(Double(time) - Double(frames) * ticksPerFrame) <= 1
    }
    // Among ticks nearly as long as frames anything would look steady.
    guard ticksPerFrame >= 4, !hasWholeFrames, pts.count > 1,
      zip(pts, pts.indices).allSatisfy(isNear), isNear(lastFrameDuration, frames: 1)
    else { return self }
    return VideoTiming(frameRate: frameRate, frameCount: pts.count)
  }

  /// Whether a frame takes a whole number of ticks.
  private var hasWholeFrames: Bool {
    let ticks = Int64(frameRate.denominator) * Int64(timeBase.denominator)
    let frames = Int64(frameRate.numerator) * Int64(timeBase.numerator)
    return frames != 0 && ticks % frames == 0
  }

  /// The same times on a time base that an mp4 file can hold: its ticks a second are an integer
  /// (the muxer doubles a small one until it reaches 10,000), and no frame is shown for 2³¹ ticks
  /// or longer. Exact where the times allow it; otherwise the nearest tick of 1/90000 or 1/1000 of
  /// a second.
  func fittingMovie() -> VideoTiming {
    if fitsMovie { return self }
    let step = (pts.map(\.magnitude) + [lastFrameDuration.magnitude]).reduce(
      0, greatestCommonDivisor)
    let shrink = greatestCommonDivisor(step, UInt64(timeBase.denominator))
    if shrink > 1 {
      var exact = self
      exact.timeBase.denominator /= Int32(shrink)
      exact.pts = pts.map { $0 / Int64(shrink) }
      exact.lastFrameDuration /= Int64(shrink)
      if exact.fitsMovie { return exact }
    }
    let fine = rounded(ticksPerSecond: 90_000)
    return fine.fitsMovie ? fine : rounded(ticksPerSecond: 1000)
  }

  private var fitsMovie: Bool {
    var ticksPerSecond = Int64(timeBase.denominator)
    while ticksPerSecond < 10_000 { ticksPerSecond *= 2 }
    let longest = zip(pts, pts.dropFirst()).map { $1 - $0 }.reduce(lastFrameDuration, max)
    let ticks = Double(longest) * timeBase.value * Double(ticksPerSecond)
    return ticksPerSecond <= 1_000_000 && ticks < Double(Int32.max)
  }

  private func rounded(ticksPerSecond: Int32) -> VideoTiming {
    func round(_ time: Int64) -> Int64 {
      Int64((Double(time) * timeBase.value * Double(ticksPerSecond)).rounded())
    }
    var result = self
    result.timeBase = Rational(1, ticksPerSecond)
    for index in pts.indices {
      result.pts[index] = max(round(pts[index]), index == 0 ? 0 : result.pts[index - 1] + 1)
    }
    result.lastFrameDuration = max(1, round(lastFrameDuration))
    return result
  }
}

private func greatestCommonDivisor(_ a: UInt64, _ b: UInt64) -> UInt64 {
  var (a, b) = (a, b)
  while b != 0 { (a, b) = (b, a % b) }
  return a
}

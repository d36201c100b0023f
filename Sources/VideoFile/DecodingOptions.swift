/// What to read of a clip, at which size, and how much a stranger's file may ask for.
public struct DecodingOptions: Sendable, Codable, Equatable {
  public enum Size: Sendable, Codable, Equatable {
    /// The source's own size, turned upright; pixels that are not square stay so.
    case source
    /// Just this one, whatever the clip's shape.
    case exactly(width: Int, height: Int)
    /// The shape in which the clip is shown (pixel aspect ratio and rotation taken into account) on
    /// about `area` pixels, both sides rounded to the nearest multiple of `multiple`, and at least
    /// one.
    case fitting(area: Int, multiple: Int)
    /// The same shape with a shorter side of just this, the longer one rounded to the nearest
    /// multiple of `multiple`.
    case shorterSide(Int, multiple: Int)
  }

  public var size: Size
  /// Frames that are shown before this time, in seconds from the file's first frame, are left out.
  public var start: Double
  /// Of the frames from there on, only every `every`th is read; each is shown until the next one.
  public var every: Int
  /// Only this many frames, of those; `nil` for all.
  public var frames: Int?
  /// A clip of more frames is refused, unless `frames` asks for no more than that.
  public var maximumFrames: Int
  /// A clip with more pixels in one source frame is refused.
  public var maximumPixels: Int
  /// A clip whose decoded, scaled frames take more bytes is refused.
  public var maximumBytes: Int

  public init(
    size: Size, start: Double = 0, every: Int = 1, frames: Int? = nil,
    maximumFrames: Int = 100_000, maximumPixels: Int = 64_000_000, maximumBytes: Int = 8 << 30
  ) {
    self.size = size
    self.start = start
    self.every = every
    self.frames = frames
    self.maximumFrames = maximumFrames
    self.maximumPixels = maximumPixels
    self.maximumBytes = maximumBytes
  }
}

extension DecodingOptions {
  /// The longest side that is ever scaled to, in pixels.
  static let longestSide = 16_384

  /// - Throws: `VideoFailure` where no frames can be chosen so.
  func checkChoice() throws {
    if let frames, frames < 1 {
      throw VideoFailure(.input, "cannot be read: \(frames) frames were asked for, take 1 or more")
    }
    guard (1...1_000_000).contains(every) else {
      throw VideoFailure(
        .input, "cannot be read: every \(every)th frame was asked for, take every 1st or more")
    }
    guard (0...1e9).contains(start) else {
      throw VideoFailure(.input, "cannot be read from \(start) s on, take 0 or more")
    }
  }

  /// The size at which a picture is shown: with square pixels, of which there are no fewer than
  /// there were.
  static func shownSize(width: Int, height: Int, pixelAspect: Double) -> (width: Int, height: Int) {
    func side(_ length: Double) -> Int {
      min(max(1, Int(length.rounded())), Self.longestSide)
    }
    return pixelAspect >= 1
      ? (side(Double(width) * pixelAspect), side(Double(height)))
      : (side(Double(width)), side(Double(height) / pixelAspect))
  }

  /// The width and height to deliver for a source of the given size; `pixelAspect` is a source
  /// pixel's width over its height. All of them upright, after rotation.
  func outputSize(sourceWidth: Int, sourceHeight: Int, pixelAspect: Double) throws -> (
    width: Int, height: Int
  ) {
    let shape = Double(sourceWidth) * pixelAspect / Double(sourceHeight)
    func side(_ length: Double, _ multiple: Int) -> Int {
      let multiples = (min(length, Double(Self.longestSide)) / Double(multiple)).rounded()
      return max(1, Int(multiples)) * multiple
    }
    let result: (width: Int, height: Int)
    switch size {
    case .source: result = (sourceWidth, sourceHeight)
    case .exactly(let width, let height): result = (width, height)
    case .fitting(let area, let multiple):
      guard area > 0, multiple > 0, multiple <= Self.longestSide else {
        throw VideoFailure(
          .input,
          "cannot be scaled to \(area) pixels in multiples of \(multiple); both must be positive")
      }
      result = (
        side((Double(area) * shape).squareRoot(), multiple),
        side((Double(area) / shape).squareRoot(), multiple)
      )
    case .shorterSide(let shorter, let multiple):
      guard shorter > 0, multiple > 0, multiple <= Self.longestSide else {
        throw VideoFailure(
          .input,
          "cannot be scaled to a shorter side of \(shorter) in multiples of \(multiple); both must be positive"
        )
      }
      let longer = max(shorter, side(Double(shorter) * max(shape, 1 / shape), multiple))
      result = shape >= 1 ? (longer, shorter) : (shorter, longer)
    }
    let sides = 1...Self.longestSide
    guard sides.contains(result.width), sides.contains(result.height) else {
      throw VideoFailure(
        .limit,
        "cannot be scaled to \(result.width)x\(result.height): a side has 1 to \(Self.longestSide) pixels"
      )
    }
    return result
  }
}

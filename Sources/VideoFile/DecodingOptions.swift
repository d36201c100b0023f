import Foundation

/// What to read of a clip, at which size, and how much a stranger's file may ask for.
public struct DecodingOptions: Sendable, Codable, Equatable {
  public enum Size: Sendable, Codable, Equatable {
    /// The source's own size, turned upright; pixels that are not square stay so.
    case source
    /// Just this one, whatever the clip's shape.
    case exactly(width: Int, height: Int)
    /// The shape in which the clip is shown (pixel aspect ratio and rotation taken into account) on
    /// about `area` pixels, both sides multiples of one of these: of the first that keeps the shape
    /// to 2 %, else of the last.
    case fitting(area: Int, multiples: [Int])
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
    case .fitting(let area, let multiples):
      guard area > 0, !multiples.isEmpty, multiples.allSatisfy((1...Self.longestSide).contains)
      else {
        throw VideoFailure(
          .input,
          "cannot be scaled to \(area) pixels in multiples of \(multiples); all must be positive")
      }
      let sizes = multiples.map { Self.fittingSize(shape: shape, area: area, multiple: $0) }
      result =
        sizes.first { Self.stretch(of: $0, from: shape) <= log(1.02) }
        ?? sizes.min { Self.stretch(of: $0, from: shape) < Self.stretch(of: $1, from: shape) }
        ?? (sourceWidth, sourceHeight)
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

  /// The sides, multiples, that come nearest to a shape and a number of pixels. A picture that is
  /// stretched is seen at once, and one of somewhat fewer pixels is not: the shape counts four times
  /// as much.
  private static func fittingSize(shape: Double, area: Int, multiple: Int) -> (
    width: Int, height: Int
  ) {
    /// Both neighbours, and one farther off.
    func multiples(near length: Double) -> ClosedRange<Int> {
      let most = longestSide / multiple
      let near = Int(min(length / Double(multiple), Double(most)))
      return max(1, near - 1)...max(1, min(near + 2, most))
    }
    let sizes = multiples(near: (Double(area) * shape).squareRoot()).flatMap { width in
      multiples(near: (Double(area) / shape).squareRoot()).map { height in
        (width: width * multiple, height: height * multiple)
      }
    }
    func cost(_ size: (width: Int, height: Int)) -> Double {
      4 * stretch(of: size, from: shape) + abs(log(Double(size.width * size.height) / Double(area)))
    }
    return sizes.min { cost($0) < cost($1) } ?? (multiple, multiple)
  }

  /// By how much a picture of this shape is stretched to that size, as a logarithm.
  private static func stretch(of size: (width: Int, height: Int), from shape: Double) -> Double {
    abs(log(Double(size.width) / Double(size.height) / shape))
  }
}

import Tensor

extension Tensor {
  /// Pictures in [-1, 1] from 8-bit pixels; (frames, height, width, 3).
  public init(pixels: some Collection<UInt8>, frames: Int, height: Int, width: Int) {
    precondition(
      pixels.count == frames * height * width * 3,
      "\(pixels.count) bytes for \(frames) frames of \(width)x\(height)")
    self.init(pixels.map { Float($0) / 127.5 - 1 }, shape: [frames, height, width, 3])
  }

  /// 8-bit pixels from pictures in [-1, 1]; what lies outside is clipped.
  public var pixels: [UInt8] {
    withValues { values in
      // This order of the comparison makes 0 of what is not a number.
      (0..<count).map {
        UInt8(min(255, max(0, (values[$0] + 1) * 127.5)).rounded(.toNearestOrEven))
      }
    }
  }

  /// Every element within [-1, 1].
  public var clippedToPictures: Tensor { mapped { min(1, max(-1, $0)) } }
}

/// A clip's pictures, read as they are needed.
public struct Pictures {
  public let frames, height, width: Int
  /// The pictures of some frames, (frames, height, width, 3) in [-1, 1].
  public let read: (Range<Int>) throws -> Tensor

  public init(frames: Int, height: Int, width: Int, read: @escaping (Range<Int>) throws -> Tensor) {
    (self.frames, self.height, self.width, self.read) = (frames, height, width, read)
  }

  /// - Parameter pictures: (frames, height, width, 3) in [-1, 1].
  public init(_ pictures: Tensor) {
    self.init(
      frames: pictures.shape[0], height: pictures.shape[1], width: pictures.shape[2],
      read: pictures.rows)
  }
}

import Tensor

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

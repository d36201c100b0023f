import Tensor

/// How a generated video moves: shifts from frame to frame, in 512ths of the frame's width and
/// height. What is shown moves to the left and up where they are positive.
public struct Motion: Hashable, Sendable {
  public var x, y: Double

  public init(x: Double, y: Double) { (self.x, self.y) = (x, y) }
}

extension Tensor {
  /// The picture of `self`, (1, height, width, channels), as frame `frame` of a motion shows it:
  /// every pixel is the nearest one to where it came from, and beyond the borders the picture is
  /// mirrored.
  ///
  /// The authors build a flow of 512x512 pixels, scale its coordinates down to the latents', and
  /// sample there with `align_corners` false; this is the same in closed form, with the half pixel
  /// of 512 that their coordinates are off.
  func moved(by motion: Motion, frame: Int) -> Tensor {
    let (height, width, channels) = (shape[1], shape[2], shape[3])
    let columns = Self.sources(of: width, shift: motion.x * Double(frame))
    let rows = Self.sources(of: height, shift: motion.y * Double(frame))
    return reshaped([height * width, channels]).rows(
      rows.flatMap { row in columns.map { row * width + $0 } }
    ).reshaped(shape)
  }

  private static func sources(of size: Int, shift: Double) -> [Int] {
    (0..<size).map { index in
      let place = Double(index) + (shift - 0.5) * Double(size) / 512
      // Mirrored at the outer edges of the first and the last pixel.
      let fromEdge = abs(place + 0.5)
      let mirrors = (fromEdge / Double(size)).rounded(.down)
      let within = fromEdge - mirrors * Double(size)
      let mirrored =
        mirrors.truncatingRemainder(dividingBy: 2) == 0 ? within : Double(size) - within
      return Int(min(max(mirrored - 0.5, 0), Double(size - 1)).rounded(.toNearestOrEven))
    }
  }
}

/// How a stored picture is turned to be seen upright: what cameras note instead of turning it
/// themselves.
///
/// An upright picture's row runs along a stored picture's column where `transposed`; then it is
/// mirrored along its own sides.
struct Orientation: Equatable {
  var transposed = false
  var mirroredHorizontally = false
  var mirroredVertically = false

  static let upright = Orientation()

  init() {}

  /// From the nine numbers of a display matrix (libavutil/display.h): (x, y) goes to (ax + cy, bx +
  /// dy). Angles between the right ones go to the nearest of them.
  init(displayMatrix matrix: UnsafePointer<Int32>) {
    let (a, b, c, d) = (Int64(matrix[0]), Int64(matrix[1]), Int64(matrix[3]), Int64(matrix[4]))
    transposed = abs(b) + abs(c) > abs(a) + abs(d)
    mirroredHorizontally = transposed ? c < 0 : a < 0
    mirroredVertically = transposed ? b < 0 : d < 0
  }

  /// Copies a stored RGB picture, rows `stride` bytes apart, into `upright`, rows packed; width and
  /// height are the upright picture's.
  func turn(
    _ stored: UnsafePointer<UInt8>, stride: Int, into upright: UnsafeMutablePointer<UInt8>,
    width: Int, height: Int
  ) {
    if self == .upright {
      for y in 0..<height {
        (upright + y * width * 3).update(from: stored + y * stride, count: width * 3)
      }
      return
    }
    let (stepX, stepY) = transposed ? (stride, 3) : (3, stride)
    for y in 0..<height {
      let row = stored + (mirroredVertically ? height - 1 - y : y) * stepY
      var target = upright + y * width * 3
      for x in 0..<width {
        let source = row + (mirroredHorizontally ? width - 1 - x : x) * stepX
        target[0] = source[0]
        target[1] = source[1]
        target[2] = source[2]
        target += 3
      }
    }
  }
}

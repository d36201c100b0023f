import Tensor

/// What a clip's motion makes of a frame: where its pixels were in the frame before, and which of
/// them were in sight there.
public struct FrameMotion: Sendable {
  /// (height, width, 3): how far to go from each pixel to where it was, x and y in pixels, and
  /// whether it was in sight, 1 or 0.
  let field: Tensor

  var height: Int { field.shape[0] }
  var width: Int { field.shape[1] }

  init(field: Tensor) { self.field = field }

  /// - Parameters:
  ///   - backward: the flow from this frame to the one before, (height, width, 2).
  ///   - forward: the flow from the one before to this one. A pixel was in sight where a way there
  ///     and back ends where it began (Sundaram et al., 2010).
  public init(backward: Tensor, forward: Tensor) {
    let (height, width) = (backward.shape[0], backward.shape[1])
    precondition(
      backward.shape == [height, width, 2] && forward.shape == backward.shape,
      "\(backward.shape) and \(forward.shape)")
    var field = Tensor(repeating: 0, shape: [height, width, 3])
    backward.withValues { backward in
      forward.withValues { forward in
        field.withMutableValues { field in
          for y in 0..<height {
            for x in 0..<width {
              let pixel = y * width + x
              let (u, v) = (backward[2 * pixel], backward[2 * pixel + 1])
              let taps = BilinearTaps(
                x: Float(x) + u, y: Float(y) + v, height: height, width: width)
              let (s, t) = (taps.value(forward, 2, 0), taps.value(forward, 2, 1))
              let gap = (s + u) * (s + u) + (t + v) * (t + v)
              field[3 * pixel] = u
              field[3 * pixel + 1] = v
              field[3 * pixel + 2] = gap < 0.01 * (s * s + t * t + u * u + v * v) + 0.5 ? 1 : 0
            }
          }
        }
      }
    }
    self.field = field
  }

  /// The motions between consecutive frames, one less than there are.
  /// - Throws: `OpticalFlowError`.
  static func between(_ frames: [GreyPicture]) throws -> [FrameMotion] {
    let pairs = zip(frames, frames.dropFirst()).flatMap { previous, next in
      [(from: next, to: previous), (from: previous, to: next)]
    }
    let flows = try OpticalFlow.flows(pairs)
    return stride(from: 0, to: flows.count, by: 2).map {
      FrameMotion(backward: flows[$0], forward: flows[$0 + 1])
    }
  }

  /// The same motion on a coarser grid: a cell moves as its pixels do on average, and was in sight
  /// where at least half of them were.
  public func onGrid(height rows: Int, width columns: Int) -> FrameMotion {
    precondition(
      (1...height).contains(rows) && (1...width).contains(columns),
      "\(columns)x\(rows) cells of \(width)x\(height) pixels")
    var cells = Tensor(repeating: 0, shape: [rows, columns, 3])
    let (xScale, yScale) = (Float(columns) / Float(width), Float(rows) / Float(height))
    field.withValues { field in
      cells.withMutableValues { cells in
        for row in 0..<rows {
          for column in 0..<columns {
            var sum = SIMD4<Float>.zero
            for y in row * height / rows..<(row + 1) * height / rows {
              for x in column * width / columns..<(column + 1) * width / columns {
                let pixel = 3 * (y * width + x)
                sum += SIMD4(field[pixel], field[pixel + 1], field[pixel + 2], 1)
              }
            }
            let mean = sum / sum[3]
            let cell = 3 * (row * columns + column)
            cells[cell] = mean[0] * xScale
            cells[cell + 1] = mean[1] * yScale
            cells[cell + 2] = mean[2] >= 0.5 ? 1 : 0
          }
        }
      }
    }
    return FrameMotion(field: cells)
  }

  /// Calls `body` for each pixel that was in sight, with where it was.
  @inline(__always)
  func forEachVisible(inRow y: Int, _ body: (_ pixel: Int, BilinearTaps) -> Void) {
    let (height, width) = (height, width)
    field.withValues { field in
      for x in 0..<width {
        let pixel = y * width + x
        guard field[3 * pixel + 2] == 1 else { continue }
        body(
          pixel,
          BilinearTaps(
            x: Float(x) + field[3 * pixel], y: Float(y) + field[3 * pixel + 1], height: height,
            width: width))
      }
    }
  }
}

/// The four pixels around a place, and what each counts; beyond the edge the picture goes on as it
/// ends there.
struct BilinearTaps {
  /// Numbers of pixels, row by row.
  let pixels: SIMD4<Int32>
  let weights: SIMD4<Float>

  @inline(__always)
  init(x: Float, y: Float, height: Int, width: Int) {
    // This order makes the far edge of what is not a number.
    let x = max(0, min(Float(width - 1), x))
    let y = max(0, min(Float(height - 1), y))
    let (left, top) = (Int32(x), Int32(y))
    let (right, bottom) = (min(left + 1, Int32(width - 1)), min(top + 1, Int32(height - 1)))
    let (dx, dy) = (x - Float(left), y - Float(top))
    let (above, below) = (top * Int32(width), bottom * Int32(width))
    pixels = SIMD4(above + left, above + right, below + left, below + right)
    weights = SIMD4(
      (1 - dx) * (1 - dy), dx * (1 - dy), (1 - dx) * dy, dx * dy)
  }

  /// One channel of what is there.
  @inline(__always)
  func value(_ picture: UnsafePointer<Float>, _ channels: Int, _ channel: Int) -> Float {
    weights[0] * picture[Int(pixels[0]) * channels + channel]
      + weights[1] * picture[Int(pixels[1]) * channels + channel]
      + weights[2] * picture[Int(pixels[2]) * channels + channel]
      + weights[3] * picture[Int(pixels[3]) * channels + channel]
  }
}

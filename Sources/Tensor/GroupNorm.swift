import CKernels

/// Normalisation over each group of channels of a picture, with a learned scale and shift, and an
/// optional activation in the same pass.
///
/// The scope is one row of the first dimension: (frames, height, width, channels) normalises frame
/// by frame; reshaped to (1, frames · height, width, channels) it normalises a video as one.
public struct GroupNorm: Sendable {
  private let weight, bias: Tensor
  private let groups: Int
  private let epsilon: Float

  /// - Parameters: `weight` and `bias` of shape (channels); `groups` divides channels.
  public init(weight: Tensor, bias: Tensor, groups: Int, epsilon: Float) {
    precondition(
      weight.count == bias.count && weight.count % groups == 0,
      "\(weight.count) channels in \(groups) groups")
    (self.weight, self.bias, self.groups, self.epsilon) = (weight, bias, groups, epsilon)
  }

  /// - Parameter input: (n, …, channels).
  public func callAsFunction(_ input: Tensor, activation: Activation? = nil) -> Tensor {
    let channels = weight.count
    precondition(input.shape.last == channels, "\(input.shape) into a group norm of \(channels)")
    let n = input.shape[0]
    var output = Tensor(uninitialized: input.shape)
    guard input.count > 0 else { return output }
    let pixels = input.count / (n * channels)
    // The work is cut into tiles of pixels, at fixed places whatever the number of threads.
    let tile = max(1, min(pixels, 16384 / channels))
    let tiles = (pixels + tile - 1) / tile
    var partial = Tensor(uninitialized: [n * tiles, 2, channels])
    var factors = Tensor(uninitialized: [n, 2, channels])
    input.withValues { input in
      output.withMutableValues { output in
        partial.withMutableValues { partial in
          factors.withMutableValues { factors in
            let (input, output) = (Shared(input), Shared(output))
            let (sums, factors) = (Shared(partial), Shared(factors))
            Parallel.ranges(of: n * tiles, atLeast: 2) { range in
              for item in range {
                let first = item % tiles * tile
                sum(
                  input.pointer + (item / tiles * pixels + first) * channels,
                  pixels: min(tile, pixels - first),
                  into: sums.pointer + item * 2 * channels)
              }
            }
            for row in 0..<n {
              combine(
                sums.pointer + row * tiles * 2 * channels, input.pointer + row * pixels * channels,
                pixels: pixels, tile: tile,
                into: factors.pointer + row * 2 * channels)
            }
            Parallel.ranges(of: n * tiles, atLeast: 2) { range in
              for item in range {
                let first = item % tiles * tile
                let position = (item / tiles * pixels + first) * channels
                let count = min(tile, pixels - first)
                let scale = factors.pointer + item / tiles * 2 * channels
                kernels_scale_shift(
                  input.pointer + position, output.pointer + position, count, channels, scale,
                  scale + channels, activation == .silu)
                if activation != .silu {
                  activation?.apply(to: output.pointer + position, count: count * channels)
                }
              }
            }
          }
        }
      }
    }
    return output
  }

  /// Each channel's sums of the differences to its first pixel and of their squares: over few
  /// enough pixels, and near enough to zero, that 32 bits hold them.
  private func sum(
    _ values: UnsafePointer<Float>, pixels: Int, into sums: UnsafeMutablePointer<Float>
  ) {
    let channels = weight.count
    sums.update(repeating: 0, count: 2 * channels)
    kernels_sums(values + channels, pixels - 1, channels, values, sums, sums + channels)
  }

  /// From the tiles' sums to what each channel is multiplied by and what is added to it.
  private func combine(
    _ sums: UnsafePointer<Float>, _ values: UnsafePointer<Float>, pixels: Int, tile: Int,
    into factors: UnsafeMutablePointer<Float>
  ) {
    let channels = weight.count
    let width = channels / groups
    let tiles = (pixels + tile - 1) / tile
    weight.withValues { weight in
      bias.withValues { bias in
        for group in 0..<groups {
          let members = (group * width)..<((group + 1) * width)
          /// The sum over all tiles and channels of what a tile's count, first pixel, sum and sum
          /// of squares make.
          func total(
            _ part: (_ count: Double, _ first: Double, _ sum: Double, _ squares: Double) -> Double
          ) -> Double {
            var total = 0.0
            for index in 0..<tiles {
              let count = Double(min(tile, pixels - index * tile))
              for channel in members {
                let (sum, squares) = (
                  sums[index * 2 * channels + channel],
                  sums[index * 2 * channels + channels + channel]
                )
                total += part(
                  count, Double(values[index * tile * channels + channel]), Double(sum),
                  Double(squares))
              }
            }
            return total
          }
          let count = Double(pixels * width)
          let mean = total { count, first, sum, _ in count * first + sum } / count
          let variance =
            total { count, first, sum, squares in
              let offset = first + sum / count - mean
              return squares - sum * sum / count + count * offset * offset
            } / count
          let deviation = (max(0, variance) + Double(epsilon)).squareRoot()
          for channel in members {
            let scale = Double(weight[channel]) / deviation
            factors[channel] = Float(scale)
            factors[channels + channel] = Float(Double(bias[channel]) - mean * scale)
          }
        }
      }
    }
  }
}

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

  /// What a row's statistics make of the norm: a factor and an addend for each of its channels. They
  /// can serve other rows than those that they were found in.
  public struct Factors: Sendable {
    /// (rows, 2, channels).
    fileprivate let values: Tensor
  }

  /// - Parameter input: (n, …, channels).
  public func callAsFunction(_ input: Tensor, activation: Activation? = nil) -> Tensor {
    applying(factors(of: input), to: input, activation: activation)
  }

  /// - Parameter input: (n, …, channels).
  public func factors(of input: Tensor) -> Factors {
    let cut = Cut(input, channels: weight.count)
    var factors = Tensor(uninitialized: [cut.rows, 2, cut.channels])
    guard input.count > 0 else { return Factors(values: factors) }
    var partial = Tensor(uninitialized: [cut.rows * cut.tiles, 2, cut.channels])
    input.withValues { input in
      partial.withMutableValues { partial in
        factors.withMutableValues { factors in
          let (input, sums) = (Shared(input), Shared(partial))
          Parallel.ranges(of: cut.rows * cut.tiles, atLeast: 2) { range in
            for item in range {
              sum(
                input.pointer + cut.position(of: item), pixels: cut.count(of: item),
                into: sums.pointer + item * 2 * cut.channels)
            }
          }
          for row in 0..<cut.rows {
            combine(
              partial + row * cut.tiles * 2 * cut.channels,
              input.pointer + row * cut.pixels * cut.channels,
              pixels: cut.pixels, tile: cut.tile, into: factors + row * 2 * cut.channels)
          }
        }
      }
    }
    return Factors(values: factors)
  }

  /// - Parameters:
  ///   - factors: of each row of the input, or one for all of them.
  ///   - input: (n, …, channels).
  public func applying(_ factors: Factors, to input: Tensor, activation: Activation? = nil)
    -> Tensor
  {
    let cut = Cut(input, channels: weight.count)
    let shared = factors.values.shape[0] == 1
    precondition(
      shared || factors.values.shape[0] == cut.rows,
      "factors of \(factors.values.shape[0]) rows for \(cut.rows)")
    var output = Tensor(uninitialized: input.shape)
    guard input.count > 0 else { return output }
    input.withValues { input in
      output.withMutableValues { output in
        factors.values.withValues { factors in
          let (input, output, factors) = (Shared(input), Shared(output), Shared(factors))
          Parallel.ranges(of: cut.rows * cut.tiles, atLeast: 2) { range in
            for item in range {
              let (position, count) = (cut.position(of: item), cut.count(of: item))
              let scale = factors.pointer + (shared ? 0 : item / cut.tiles) * 2 * cut.channels
              kernels_scale_shift(
                input.pointer + position, output.pointer + position, count, cut.channels, scale,
                scale + cut.channels, activation == .silu)
              if activation != .silu {
                activation?.apply(to: output.pointer + position, count: count * cut.channels)
              }
            }
          }
        }
      }
    }
    return output
  }

  /// How the work is cut into tiles of pixels, at fixed places whatever the number of threads.
  private struct Cut {
    let rows, pixels, channels, tile, tiles: Int

    init(_ input: Tensor, channels: Int) {
      precondition(input.shape.last == channels, "\(input.shape) into a group norm of \(channels)")
      self.channels = channels
      rows = input.shape[0]
      pixels = input.count / max(1, rows * channels)
      tile = max(1, min(pixels, 16384 / channels))
      tiles = (pixels + tile - 1) / tile
    }

    /// Where a tile's first element is.
    func position(of item: Int) -> Int {
      (item / tiles * pixels + item % tiles * tile) * channels
    }

    /// A tile's pixels.
    func count(of item: Int) -> Int { min(tile, pixels - item % tiles * tile) }
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

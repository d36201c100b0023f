import Foundation
import Testing

@testable import Tensor

@Suite struct NormalisationTests {
  /// Numbers far from zero keep fewer digits of their differences, in any 32-bit arithmetic.
  private static let offsets: [Float] = [0, 1000]

  @Test(
    "layer norm of any number of channels, also of numbers far from zero, by any threads",
    arguments: [1, 5, 15, 17, 33, 320], offsets)
  func layerNorm(channels: Int, offset: Float) {
    let x = sample([3, 401, channels]) + Tensor(repeating: offset, shape: [channels])
    let (w, b) = (sample([channels], "w"), sample([channels], "b"))
    let (xs, ws, bs) = (
      x.values.map(Double.init), w.values.map(Double.init), b.values.map(Double.init)
    )
    let expected = (0..<3 * 401).flatMap { row -> [Double] in
      let own = xs[row * channels..<(row + 1) * channels]
      let mean = own.reduce(0, +) / Double(channels)
      let variance = own.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(channels)
      return own.enumerated().map {
        ($1 - mean) / (variance + 1e-5).squareRoot() * ws[$0] + bs[$0]
      }
    }
    let norm = LayerNorm(weight: w, bias: b, epsilon: 1e-5)
    for threads in [1, 2, 5] {
      let error = relativeError(withThreads(threads) { norm(x) }.values, expected)
      #expect(error < (offset == 0 ? 1e-6 : 1e-4), "\(threads) threads")
    }
  }

  /// One pixel, some, and several tiles of them; groups of one channel, of three and of more.
  @Test(
    "group norm, also of numbers far from zero, with every activation, by any threads",
    arguments: [
      ([2, 1, 1, 21], 7), ([3, 5, 7, 40], 8), ([2, 37, 43, 21], 7), ([1, 9, 300, 33], 33),
    ], offsets)
  func groupNorm(_ geometry: (shape: [Int], groups: Int), offset: Float) {
    let (shape, groups) = geometry
    let (pixels, channels) = (shape[1] * shape[2], shape[3])
    let x = sample(shape) + Tensor(repeating: offset, shape: [channels])
    let (w, b) = (sample([channels], "w"), sample([channels], "b"))
    let (xs, ws, bs) = (
      x.values.map(Double.init), w.values.map(Double.init), b.values.map(Double.init)
    )
    let width = channels / groups
    var expected = xs
    for row in 0..<shape[0] {
      for group in 0..<groups {
        let members = (0..<pixels * width).map {
          (row * pixels + $0 / width) * channels + group * width + $0 % width
        }
        let mean = members.reduce(0) { $0 + xs[$1] } / Double(members.count)
        let variance =
          members.reduce(0) { $0 + (xs[$1] - mean) * (xs[$1] - mean) } / Double(members.count)
        for index in members {
          expected[index] =
            (xs[index] - mean) / (variance + 1e-5).squareRoot() * ws[index % channels]
            + bs[index % channels]
        }
      }
    }
    let norm = GroupNorm(weight: w, bias: b, groups: groups, epsilon: 1e-5)
    let activations: [(Activation?, (Double) -> Double)] = [
      (nil, { $0 }), (.silu, { $0 / (1 + exp(-$0)) }),
      (.gelu, { $0 * (1 + erf($0 / 2.0.squareRoot())) / 2 }),
      (.quickGELU, { $0 / (1 + exp(-1.702 * $0)) }),
    ]
    for (activation, definition) in activations {
      for threads in [1, 2, 5] {
        let result = withThreads(threads) { norm(x, activation: activation) }
        let error = relativeError(result.values, expected.map(definition))
        #expect(
          error < (offset == 0 ? 2e-6 : 2e-4),
          "\(String(describing: activation)), \(threads) threads")
      }
    }
  }
}

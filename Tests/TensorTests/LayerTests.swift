import CKernels
import Foundation
import Tensor
import Testing

@Suite struct LayerTests {
  @Test(
    "a linear layer multiplies by the transposed weights and adds the bias",
    arguments: [(1, 3, 5), (7, 64, 33), (130, 17, 96)])
  func linear(rows: Int, inputs: Int, outputs: Int) {
    let (x, w, b) = (
      sample([rows, inputs]), sample([outputs, inputs], "w"), sample([outputs], "b")
    )
    let (xs, ws, bs) = (x.values, w.values, b.values)
    var expected: [Double] = []
    for row in 0..<rows {
      for o in 0..<outputs {
        expected.append(
          (0..<inputs).reduce(Double(bs[o])) {
            $0 + Double(xs[row * inputs + $1]) * Double(ws[o * inputs + $1])
          })
      }
    }
    #expect(relativeError(Linear(weight: w, bias: b)(x).values, expected) < 1e-6)
    #expect(
      Linear(weight: w, bias: nil)(x.reshaped([1, rows, inputs])).shape == [1, rows, outputs])
  }

  @Test("matrix products, with the right side as it is or transposed")
  func matrixProducts() {
    let (a, b) = (sample([5, 7]), sample([7, 3], "b"))
    let (x, y) = (a.values, b.values)
    let expected = (0..<15).map { index in
      (0..<7).reduce(0.0) { $0 + Double(x[index / 3 * 7 + $1]) * Double(y[$1 * 3 + index % 3]) }
    }
    #expect(relativeError(a.matrixProduct(b).values, expected) < 1e-6)
    let transposed = Tensor((0..<21).map { y[$0 % 7 * 3 + $0 / 7] }, shape: [3, 7])
    #expect(
      relativeError(a.matrixProduct(transposed, rightTransposed: true).values, expected) < 1e-6)
  }

  @Test(
    "group norm normalises each row's groups, over all pixels, whatever the tiles",
    arguments: [[3, 5, 7, 24], [1, 61, 33, 64], [2, 1, 1, 8]])
  func groupNorm(shape: [Int]) {
    let channels = shape[3]
    let groups = 4
    let (x, w, b) = (
      sample(shape) + Tensor(repeating: 3, shape: [channels]), sample([channels], "w"),
      sample([channels], "b")
    )
    let (xs, ws, bs) = (
      x.values.map(Double.init), w.values.map(Double.init), b.values.map(Double.init)
    )
    let pixels = shape[1] * shape[2]
    var expected = xs
    for n in 0..<shape[0] {
      for group in 0..<groups {
        let members = (0..<pixels * channels).filter {
          $0 % channels / (channels / groups) == group
        }.map { n * pixels * channels + $0 }
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
    #expect(relativeError(norm(x).values, expected) < 3e-6)
    #expect(
      relativeError(norm(x, activation: .silu).values, expected.map { $0 / (1 + exp(-$0)) }) < 1e-5)
  }

  @Test("a video reshaped to one row is normalised as one")
  func groupNormOverFrames() {
    let norm = GroupNorm(
      weight: Tensor(repeating: 1, shape: [8]), bias: Tensor(repeating: 0, shape: [8]), groups: 2,
      epsilon: 1e-5)
    let video = sample([3, 4, 5, 8])
    let whole = norm(video.reshaped([1, 12, 5, 8])).values
    #expect(relativeError(norm(video).values, whole.map(Double.init)) > 1e-3)
    #expect(abs(whole.reduce(0, +) / Float(whole.count)) < 1e-5)
  }

  @Test("what a norm finds in a video serves its parts")
  func groupNormFactors() {
    let norm = GroupNorm(
      weight: sample([8], "w"), bias: sample([8], "b"), groups: 2, epsilon: 1e-5)
    let video = sample([3, 4, 5, 8])
    let whole = norm(video.reshaped([1, 12, 5, 8]), activation: .silu).values
    let factors = norm.factors(of: video.reshaped([1, 12, 5, 8]))
    #expect(norm.applying(factors, to: video, activation: .silu).values == whole)
    #expect(
      norm.applying(factors, to: video.rows(1..<2), activation: .silu).values
        == Array(whole[160..<320]))
  }

  @Test("layer norm normalises the last dimension", arguments: [5, 64, 320])
  func layerNorm(channels: Int) {
    let (x, w, b) = (sample([2, 3, channels]), sample([channels], "w"), sample([channels], "b"))
    let (ws, bs) = (w.values, b.values)
    var expected: [Double] = []
    for row in 0..<6 {
      let values = x.values[row * channels..<(row + 1) * channels].map(Double.init)
      let mean = values.reduce(0, +) / Double(channels)
      let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(channels)
      expected += values.enumerated().map {
        ($1 - mean) / (variance + 1e-5).squareRoot() * Double(ws[$0]) + Double(bs[$0])
      }
    }
    #expect(relativeError(LayerNorm(weight: w, bias: b, epsilon: 1e-5)(x).values, expected) < 1e-6)
  }

  @Test("activations are the functions they are named after")
  func activations() {
    let x = sample([1001]) * 3
    let xs = x.values.map(Double.init)
    #expect(relativeError(x.applying(.silu).values, xs.map { $0 / (1 + exp(-$0)) }) < 1e-6)
    #expect(
      relativeError(x.applying(.quickGELU).values, xs.map { $0 / (1 + exp(-1.702 * $0)) }) < 1e-6)
    #expect(
      relativeError(
        x.applying(.gelu).values, xs.map { $0 * 0.5 * (1 + erf($0 / 2.0.squareRoot())) }) < 1e-6)
  }

  @Test(
    "the gate is the second half, through GELU", arguments: [[1, 2], [3, 7, 10], [2, 3000, 12]])
  func geglu(shape: [Int]) {
    let x = sample(shape)
    let channels = shape[shape.count - 1] / 2
    let xs = x.values.map(Double.init)
    let expected = (0..<x.count / 2).map { index in
      let (row, channel) = (index / channels, index % channels)
      let gate = xs[row * 2 * channels + channels + channel]
      return xs[row * 2 * channels + channel] * gate * 0.5 * (1 + erf(gate / 2.0.squareRoot()))
    }
    var gated = [Float](repeating: 0, count: x.count / 2)
    x.withValues { kernels_geglu($0, &gated, gated.count / channels, channels) }
    #expect(relativeError(gated, expected) < 1e-6)
  }

  @Test("softmax over the last dimension, also of large numbers")
  func softmax() {
    let x = sample([3, 5, 9]) * 200
    let expected = stride(from: 0, to: x.count, by: 9).flatMap { start in
      let row = x.values[start..<start + 9].map(Double.init)
      let largest = row.max() ?? 0
      let exponentials = row.map { exp($0 - largest) }
      return exponentials.map { $0 / exponentials.reduce(0, +) }
    }
    #expect(relativeError(x.softmax().values, expected) < 1e-5)
  }

  @Test("nearest upsampling to twice the size, and to odd sizes")
  func upsampling() {
    let x = sample([2, 3, 2, 5])
    for (height, width) in [(6, 4), (5, 3), (3, 2)] {
      let result = x.upsampledNearest(height: height, width: width)
      #expect(result.shape == [2, height, width, 5])
      for n in 0..<2 {
        for y in 0..<height {
          for xx in 0..<width {
            let (from, to) = (
              ((n * 3 + y * 3 / height) * 2 + xx * 2 / width) * 5,
              ((n * height + y) * width + xx) * 5
            )
            #expect(result.values[to..<to + 5] == x.values[from..<from + 5])
          }
        }
      }
    }
  }
}

import CKernels
import Foundation
import Testing

@testable import Tensor

@Suite struct MixedPrecisionTests {
  /// To the nearest bf16, to the even one of two.
  private func rounded(_ value: Float) -> Float {
    let bits = value.bitPattern
    return Float(bitPattern: (bits &+ 0x7fff &+ (bits >> 16 & 1)) & 0xffff_0000)
  }

  @Test("numbers round to the nearest bf16, ties to even; what is none or infinite stays so")
  func rounding() {
    let numbers: [Float] =
      [
        1, -1.00390625, 1.01171875, 3e38, .infinity, -.infinity, Float(bitPattern: 71362), 0, -0,
        .nan, 3.14159,
      ]
      + sample([37]).values
    var result = [UInt16](repeating: 0, count: numbers.count)
    kernels_to_bfloat16(numbers, &result, numbers.count)
    for (number, bits) in zip(numbers, result) {
      let value = Float(bitPattern: UInt32(bits) << 16)
      #expect(number.isNaN ? value.isNaN : value == rounded(number), "\(number) gave \(value)")
    }
  }

  @Test(
    "a linear layer of bf16 sums the products of its rounded operands in 32 bits",
    .enabled(if: Precision.isMixedSupported),
    arguments: [(1, 320, 64), (5, 33, 17), (65, 40, 96), (257, 64, 80), (1000, 96, 20)])
  func linear(rows: Int, inputs: Int, outputs: Int) {
    let (x, w) = (sample([rows, inputs], "x"), sample([outputs, inputs], "w"))
    let (bias, residual) = (sample([outputs], "b"), sample([rows, outputs], "r"))
    let layer = Linear(weight: w, bias: bias, precision: .mixed)
    let (xs, ws) = (
      x.values.map { Double(rounded($0)) }, w.values.map { Double(rounded($0)) }
    )
    let (bs, rs) = (bias.values, residual.values)
    let expected = (0..<rows * outputs).map { index in
      (0..<inputs).reduce(Double(bs[index % outputs])) {
        $0 + xs[index / outputs * inputs + $1] * ws[index % outputs * inputs + $1]
      }
    }
    #expect(relativeError(layer(x).values, expected) < 1e-5)
    #expect(
      relativeError(
        layer(x, addedTo: residual).values, zip(expected, rs).map { $0 + Double($1) }) < 1e-5)
  }

  @Test(
    "a gated feed-forward adds to what came in, whatever the rows and the precision",
    arguments: [(1, 16), (7, 24), (300, 40)])
  func feedForward(rows: Int, channels: Int) {
    let inner = 3 * channels
    let (up, down) = (
      sample([2 * inner, channels], "up") * 0.2, sample([channels, inner], "down") * 0.2
    )
    let (upBias, downBias) = (sample([2 * inner], "ub"), sample([channels], "db"))
    let norm = LayerNorm(
      weight: sample([channels], "nw"), bias: sample([channels], "nb"), epsilon: 1e-5)
    let x = sample([rows, channels], "x")
    let normed = norm(x).values.map(Double.init)
    let (us, ds) = (up.values.map(Double.init), down.values.map(Double.init))
    var expected = x.values.map(Double.init)
    for row in 0..<rows {
      let wide = (0..<2 * inner).map { output in
        (0..<channels).reduce(Double(upBias.values[output])) {
          $0 + normed[row * channels + $1] * us[output * channels + $1]
        }
      }
      let gated = (0..<inner).map {
        wide[$0] * 0.5 * wide[inner + $0] * (1 + erf(wide[inner + $0] / 2.0.squareRoot()))
      }
      for channel in 0..<channels {
        expected[row * channels + channel] += (0..<inner).reduce(Double(downBias.values[channel])) {
          $0 + gated[$1] * ds[channel * inner + $1]
        }
      }
    }
    func error(_ precision: Precision) -> Double {
      relativeError(
        GatedFeedForward(
          norm: norm, up: Linear(weight: up, bias: upBias, precision: precision),
          down: Linear(weight: down, bias: downBias, precision: precision))(x).values, expected)
    }
    #expect(error(.full) < 2e-6)
    if Precision.isMixedSupported { #expect((1e-5..<2e-2).contains(error(.mixed))) }
  }
}

import Foundation
import Testing

@testable import Tensor

@Suite struct LinearTests {
  /// To the nearest bf16, the even one of two.
  private func rounded(_ value: Float) -> Float {
    let bits = value.bitPattern
    return Float(bitPattern: (bits &+ 0x7fff &+ (bits >> 16 & 1)) & 0xffff_0000)
  }

  private func products(_ x: [Float], _ w: [Float], rows: Int, inputs: Int, outputs: Int)
    -> [Double]
  {
    let (x, w) = (x.map(Double.init), w.map(Double.init))
    return (0..<rows * outputs).map { index in
      let (row, output) = (index / outputs, index % outputs)
      return (0..<inputs).reduce(0) { $0 + x[row * inputs + $1] * w[output * inputs + $1] }
    }
  }

  @Test(
    "any number of rows is multiplied, with and without a bias and a residual, by any threads",
    arguments: [1, 5, 63, 64, 257, 1000],
    Precision.allCases.filter { $0 == .full || Precision.isMixedSupported })
  func rows(_ rows: Int, precision: Precision) {
    let (inputs, outputs) = (53, 37)
    let (x, w) = (sample([rows, inputs], "x"), sample([outputs, inputs], "w"))
    let (bias, residual) = (sample([outputs], "b"), sample([rows, outputs], "r"))
    let exact = products(x.values, w.values, rows: rows, inputs: inputs, outputs: outputs)
    let nearest =
      precision == .full
      ? exact
      : products(
        x.values.map(rounded), w.values.map(rounded), rows: rows, inputs: inputs, outputs: outputs)
    let (bs, rs) = (bias.values.map(Double.init), residual.values.map(Double.init))
    for hasBias in [true, false] {
      let layer = Linear(weight: w, bias: hasBias ? bias : nil, precision: precision)
      func shifted(_ products: [Double], _ residual: [Double]? = nil) -> [Double] {
        products.indices.map {
          products[$0] + (hasBias ? bs[$0 % outputs] : 0) + (residual?[$0] ?? 0)
        }
      }
      for threads in [1, 2, 3, 7] {
        let (alone, added) = withThreads(threads) { (layer(x), layer(x, addedTo: residual)) }
        let comment = Comment("\(threads) threads, bias: \(hasBias)")
        // Products of rounded numbers are exact: no more is lost than in full.
        #expect(relativeError(alone.values, shifted(nearest)) < 1e-6, comment)
        #expect(relativeError(added.values, shifted(nearest, rs)) < 1e-6, comment)
        if precision == .mixed {
          #expect((1e-4..<1e-2).contains(relativeError(alone.values, shifted(exact))), comment)
        }
      }
    }
    #expect(residual.values == rs.map(Float.init))
  }
}

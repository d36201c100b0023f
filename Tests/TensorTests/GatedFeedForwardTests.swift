import Foundation
import Testing

@testable import Tensor

@Suite struct GatedFeedForwardTests {
  @Test(
    "a gated feed-forward is its definition, whatever the rows, their parts and the threads",
    arguments: [(1, 7), (129, 24), (385, 17), (1000, 40)])
  func matchesDefinition(rows: Int, channels: Int) {
    let inner = 3 * channels + 1
    let (up, down) = (
      sample([2 * inner, channels], "up") * 0.2, sample([channels, inner], "down") * 0.2
    )
    let (upBias, downBias) = (sample([2 * inner], "ub"), sample([channels], "db"))
    let (weight, bias) = (sample([channels], "nw"), sample([channels], "nb"))
    let x = sample([rows, channels], "x")
    func doubles(_ tensor: Tensor) -> [Double] { tensor.values.map(Double.init) }
    let (xs, ws, bs) = (doubles(x), doubles(weight), doubles(bias))
    let (us, ds, ubs, dbs) = (doubles(up), doubles(down), doubles(upBias), doubles(downBias))
    var expected = xs
    for row in 0..<rows {
      let own = xs[row * channels..<(row + 1) * channels]
      let mean = own.reduce(0, +) / Double(channels)
      let variance = own.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(channels)
      let normed = own.enumerated().map {
        ($1 - mean) / (variance + 1e-5).squareRoot() * ws[$0] + bs[$0]
      }
      let wide = (0..<2 * inner).map { output in
        (0..<channels).reduce(ubs[output]) { $0 + normed[$1] * us[output * channels + $1] }
      }
      let gated = (0..<inner).map {
        wide[$0] * wide[inner + $0] * (1 + erf(wide[inner + $0] / 2.0.squareRoot())) / 2
      }
      for channel in 0..<channels {
        expected[row * channels + channel] += (0..<inner).reduce(dbs[channel]) {
          $0 + gated[$1] * ds[channel * inner + $1]
        }
      }
    }
    for precision in Precision.allCases where precision == .full || Precision.isMixedSupported {
      let layer = GatedFeedForward(
        norm: LayerNorm(weight: weight, bias: bias, epsilon: 1e-5),
        up: Linear(weight: up, bias: upBias, precision: precision),
        down: Linear(weight: down, bias: downBias, precision: precision))
      for threads in [1, 2, 3, 5] {
        let error = relativeError(withThreads(threads) { layer(x) }.values, expected)
        #expect(error < (precision == .full ? 2e-6 : 1e-2), "\(precision), \(threads) threads")
      }
    }
  }
}

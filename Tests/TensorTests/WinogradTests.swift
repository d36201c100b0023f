import Tensor
import Testing

@Suite struct WinogradTests {
  /// The sum that defines a 3×3 convolution with stride 1.
  private func expected(
    _ input: Tensor, _ weight: Tensor, _ bias: Tensor?, _ padding: Convolution.Padding = .all(1)
  ) -> [Double] {
    let (height, width, inputs) = (input.shape[1], input.shape[2], input.shape[3])
    let outputs = weight.shape[0]
    let (x, w) = (input.values.map(Double.init), weight.values.map(Double.init))
    let bias = bias?.values.map(Double.init) ?? [Double](repeating: 0, count: outputs)
    var result: [Double] = []
    for image in 0..<input.shape[0] {
      for row in 0..<height + padding.top + padding.bottom - 2 {
        for column in 0..<width + padding.left + padding.right - 2 {
          var sums = bias
          for tap in 0..<9 {
            let (y, x0) = (row + tap / 3 - padding.top, column + tap % 3 - padding.left)
            guard (0..<height).contains(y), (0..<width).contains(x0) else { continue }
            let pixel = ((image * height + y) * width + x0) * inputs
            for output in 0..<outputs {
              for input in 0..<inputs {
                sums[output] += x[pixel + input] * w[(output * inputs + input) * 9 + tap]
              }
            }
          }
          result += sums
        }
      }
    }
    return result
  }

  /// Less than a tile, parts of tiles on either side, whole ones; few and many channels on either
  /// side, some no multiple of a vector, some more than are taken at once; more tiles than are
  /// transformed at once.
  @Test(
    "pictures and channels of any size are convolved, by any number of threads, twice to the same bits",
    arguments: [
      (1, 1, 1, 3, 16), (2, 3, 5, 4, 320), (3, 7, 4, 16, 48), (1, 9, 13, 320, 4),
      (1, 64, 28, 96, 64), (3, 6, 5, 33, 35), (2, 5, 3, 337, 17), (3, 1, 10, 16, 16),
      (1, 68, 68, 320, 4),
    ])
  func sizes(n: Int, height: Int, width: Int, inputs: Int, outputs: Int) {
    let input = sample([n, height, width, inputs], "input")
    let (weight, bias) = (sample([outputs, inputs, 3, 3], "weight"), sample([outputs], "bias"))
    let convolution = Convolution(weight: weight, bias: bias, padding: .all(1))
    let expected = expected(input, weight, bias)
    for threads in [1, 2, 3, 5] {
      let (first, second) = withThreads(threads) { (convolution(input), convolution(input)) }
      #expect(first.shape == [n, height, width, outputs])
      #expect(relativeError(first.values, expected) < 1e-5, "\(threads) threads")
      #expect(first.values == second.values, "\(threads) threads")
    }
  }

  @Test(
    "padding may differ on every side, and be none or more than a tile's overlap",
    arguments: [
      Convolution.Padding(top: 0, left: 0, bottom: 1, right: 1), .all(0), .all(2),
      Convolution.Padding(top: 2, left: 0, bottom: 1, right: 3),
      Convolution.Padding(top: 0, left: 5, bottom: 0, right: 0),
    ])
  func padding(_ padding: Convolution.Padding) {
    let (input, weight) = (sample([3, 6, 9, 5], "input"), sample([18, 5, 3, 3], "weight"))
    let output = Convolution(weight: weight, bias: nil, padding: padding)(input)
    #expect(
      output.shape
        == [3, 4 + padding.top + padding.bottom, 7 + padding.left + padding.right, 18])
    #expect(relativeError(output.values, expected(input, weight, nil, padding)) < 1e-5)
  }

  @Test("a shift is added to every pixel, beside the bias or alone", arguments: [true, false])
  func shift(hasBias: Bool) {
    let (input, weight) = (sample([2, 5, 6, 7], "input"), sample([21, 7, 3, 3], "weight"))
    let (bias, shift) = (sample([21], "bias"), sample([1, 21], "shift") * 3)
    let output = Convolution(weight: weight, bias: hasBias ? bias : nil, padding: .all(1))(
      input, shift: shift)
    let both = hasBias ? bias + shift.reshaped([21]) : shift.reshaped([21])
    #expect(relativeError(output.values, expected(input, weight, both)) < 1e-5)
  }
}

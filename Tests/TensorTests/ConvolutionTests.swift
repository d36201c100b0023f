import Tensor
import Testing

@Suite struct ConvolutionTests {
  struct Case: Sendable {
    var n = 2, height = 7, width = 5, inputs = 3, outputs = 4, kernelHeight = 3, kernelWidth = 3,
      stride = 1
    var padding = Convolution.Padding.all(1)
    var bias = true
  }

  @Test(
    "a convolution of any shape, stride and padding is the sum that defines it",
    arguments: [
      Case(), Case(n: 3, height: 9, width: 13, inputs: 32, outputs: 48),
      Case(inputs: 4, outputs: 64), Case(inputs: 64, outputs: 4),
      // Tiles at every edge; more input channels than are taken at once; more tiles than one part.
      Case(n: 3, height: 6, width: 11, inputs: 16, outputs: 96),
      Case(n: 1, height: 4, width: 9, inputs: 672, outputs: 32),
      Case(n: 2, height: 45, width: 37, inputs: 8, outputs: 16),
      Case(
        height: 6, width: 9, inputs: 16, outputs: 16,
        padding: .init(top: 0, left: 0, bottom: 2, right: 1)),
      Case(height: 8, width: 5, inputs: 16, outputs: 16, stride: 2),
      Case(height: 5, width: 8, inputs: 17, outputs: 19, stride: 2),
      Case(
        height: 6, width: 9, inputs: 16, outputs: 16, stride: 2,
        padding: .init(top: 0, left: 0, bottom: 1, right: 1)),
      Case(
        height: 9, width: 6, inputs: 16, outputs: 16, stride: 3,
        padding: .init(top: 2, left: 0, bottom: 1, right: 3), bias: false),
      Case(n: 1, height: 1, width: 1),
      Case(
        inputs: 8, outputs: 8, kernelHeight: 1, kernelWidth: 5,
        padding: .init(top: 0, left: 2, bottom: 0, right: 2)),
    ])
  func matchesDefinition(_ c: Case) {
    let input = sample([c.n, c.height, c.width, c.inputs], "input")
    let weight = sample([c.outputs, c.inputs, c.kernelHeight, c.kernelWidth], "weight")
    let bias = c.bias ? sample([c.outputs], "bias") : nil
    let output = Convolution(weight: weight, bias: bias, stride: c.stride, padding: c.padding)(
      input)
    let (height, width) = (
      (c.height + c.padding.top + c.padding.bottom - c.kernelHeight) / c.stride + 1,
      (c.width + c.padding.left + c.padding.right - c.kernelWidth) / c.stride + 1
    )
    #expect(output.shape == [c.n, height, width, c.outputs])
    let (x, w, b) = (input.values, weight.values, bias?.values)
    var expected: [Double] = []
    for n in 0..<c.n {
      for y in 0..<height {
        for xx in 0..<width {
          for o in 0..<c.outputs {
            var sum = Double(b?[o] ?? 0)
            for ky in 0..<c.kernelHeight {
              for kx in 0..<c.kernelWidth {
                let (iy, ix) = (
                  y * c.stride + ky - c.padding.top, xx * c.stride + kx - c.padding.left
                )
                guard (0..<c.height).contains(iy), (0..<c.width).contains(ix) else { continue }
                for i in 0..<c.inputs {
                  sum +=
                    Double(x[((n * c.height + iy) * c.width + ix) * c.inputs + i])
                    * Double(w[((o * c.inputs + i) * c.kernelHeight + ky) * c.kernelWidth + kx])
                }
              }
            }
            expected.append(sum)
          }
        }
      }
    }
    // Winograd's transforms cost a digit.
    #expect(relativeError(output.values, expected) < 5e-6)
  }

  @Test("the same convolution serves pictures of different sizes one after another")
  func servesSeveralSizes() {
    let convolution = Convolution(weight: sample([8, 8, 3, 3]), bias: nil, padding: .all(1))
    let alone = convolution(sample([1, 9, 4, 8]))
    _ = convolution(sample([5, 16, 16, 8]))
    #expect(convolution(sample([1, 9, 4, 8])).values == alone.values)
  }
}

import Tensor
import Testing

@testable import VideoEditing

@Suite struct FreeUTests {
  /// By PyTorch: `fftn`, `fftshift`, the box of two by two times 0.2, and back.
  @Test(
    "low frequencies are scaled as PyTorch's Fourier transform does it, of odd and even sides",
    arguments: [
      (5, 7, [-0.287667, -0.042488, -0.314219, 0.479344, -0.164672, -0.042417, 0.453012]),
      (4, 6, [-0.215192, -0.058405, -0.268998, 0.325433, -0.048536, 0.074567, -0.420441]),
    ])
  func lowFrequencies(height: Int, width: Int, expected: [Float]) {
    let count = 2 * height * width * 3
    let input = Tensor(
      (0..<count).map { Float($0 * 7919 % 101) / 101 }, shape: [2, height, width, 3])
    let values = FreeU.scaled(input, lowFrequenciesBy: 0.2).values
    for (place, value) in zip([0, 1, 5, 17, 40, 60, count - 1], expected) {
      #expect(abs(values[place] - value) < 2e-6, "\(place)")
    }
  }

  @Test("half the channels of the deepest and of the second level become stronger, others stay")
  func features() {
    let freeU = FreeU(channels: [2, 4, 6, 8])
    func features(_ channels: Int) -> [Float] {
      let ones = Tensor(repeating: 1, shape: [1, 2, 2, channels])
      return Array(freeU(ones, ones).features.values.prefix(channels))
    }
    #expect(features(8) == [1.2, 1.2, 1.2, 1.2, 1, 1, 1, 1])
    #expect(features(4) == [1.4, 1.4, 1, 1])
    #expect(features(6) == [Float](repeating: 1, count: 6))
    let ones = Tensor(repeating: 1, shape: [1, 2, 2, 4])
    #expect(freeU(ones, ones).skip.values.allSatisfy { abs($0 - 0.2) < 1e-6 })
  }
}

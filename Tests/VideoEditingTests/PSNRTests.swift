import Tensor
import Testing
import VideoEditing

@Suite struct PSNRTests {
  private func peakSignalToNoiseRatio(_ images: Tensor, _ truth: Tensor, mask: [Bool]? = nil)
    -> Double?
  {
    var measure = PeakSignalToNoiseRatio()
    measure.add(images, truth, mask: mask)
    return measure.value
  }

  @Test("pictures that come one after another score what they score at once")
  func inParts() {
    let a = RandomNumbers(seed: 1, stream: "a").normal([5, 3, 2, 3])
    let b = RandomNumbers(seed: 1, stream: "b").normal([5, 3, 2, 3])
    var measure = PeakSignalToNoiseRatio()
    #expect(measure.value == nil)
    for frames in [0..<2, 2..<5] { measure.add(a.rows(frames), b.rows(frames)) }
    #expect(measure.value == peakSignalToNoiseRatio(a, b))
  }

  @Test("a difference of a hundredth of the range is 40 dB")
  func knownValue() throws {
    let a = Tensor(repeating: 0.5, shape: [2, 3, 5, 3])
    let b = Tensor(repeating: 0.52, shape: [2, 3, 5, 3])
    #expect(abs(try #require(peakSignalToNoiseRatio(a, b)) - 40) < 1e-3)
    #expect(peakSignalToNoiseRatio(a, a) == .infinity)
  }

  @Test("a mask counts only its pixels, and none gives no figure")
  func masks() throws {
    let a = Tensor(repeating: 0, shape: [1, 1, 3, 3])
    let b = Tensor([0, 0, 0, 0.2, 0.2, 0.2, 0, 0, 0], shape: [1, 1, 3, 3])
    #expect(
      abs(try #require(peakSignalToNoiseRatio(a, b, mask: [false, true, false])) - 20) < 1e-3)
    #expect(peakSignalToNoiseRatio(a, b, mask: [true, false, true]) == .infinity)
    #expect(peakSignalToNoiseRatio(a, b, mask: [false, false, false]) == nil)
  }

  @Test("changed are pixels that differ by more than 8 of 255 in any channel")
  func changed() {
    let a = Tensor(repeating: 0, shape: [1, 1, 3, 3])
    let step: Float = 2.0 / 255
    let b = Tensor(
      [0, 8 * step - 1e-6, 0, 0, 0, 8 * step + 1e-6, -9 * step, 0, 0], shape: [1, 1, 3, 3])
    #expect(changedPixels(a, b) == [false, true, true])
  }

  @Test("pixels survive the way to pictures and back")
  func pictures() {
    let pixels = (0..<2 * 4 * 2 * 3).map { UInt8($0 * 5) }
    #expect(Tensor(pixels: pixels, frames: 2, height: 4, width: 2).pixels == pixels)
    #expect(Tensor([-1.5, 1.5, .nan], shape: [1, 1, 1, 3]).pixels == [0, 255, 0])
  }
}

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

  /// `peak_signal_noise_ratio(a, b, data_range=2)` of scikit-image 0.26 on pictures that any language
  /// makes alike.
  @Test("agrees with scikit-image, over all frames and frame by frame")
  func reference() throws {
    func pictures(_ key: Int) -> Tensor {
      let shape = [2, 9, 13, 3]
      return Tensor(
        (0..<shape.reduce(1, *)).map {
          Float(Double(($0 * 2_654_435_761 + key * 40503) % 1000) / 1000 * 2 - 1)
        }, shape: shape)
    }
    let (a, b) = (pictures(1), pictures(1).blended(0.7, with: pictures(2), 0.3))
    var whole = PeakSignalToNoiseRatio()
    for (frame, theirs) in [16.4781666261209, 16.478463614640717].enumerated() {
      var measure = PeakSignalToNoiseRatio()
      measure.add(b.rows(frame..<frame + 1), a.rows(frame..<frame + 1))
      #expect(abs(try #require(measure.value) - theirs) < 1e-4)
      whole.add(measure)
    }
    #expect(abs(try #require(whole.value) - 16.478315117842147) < 1e-4)
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

import Tensor
import Testing
import VideoEditing

@Suite struct SSIMTests {
  /// Pictures that any language makes alike.
  private func pictures(_ key: Int, height: Int = 9, width: Int = 13) -> Tensor {
    let shape = [2, height, width, 3]
    return Tensor(
      (0..<shape.reduce(1, *)).map {
        Float(Double(($0 * 2_654_435_761 + key * 40503) % 1000) / 1000 * 2 - 1)
      }, shape: shape)
  }

  /// `structural_similarity(a, b, data_range=2, channel_axis=2)` of scikit-image 0.26, mean of two
  /// frames.
  @Test("agrees with scikit-image")
  func reference() throws {
    let (a, b) = (pictures(1), pictures(1).blended(0.7, with: pictures(2), 0.3))
    var measure = StructuralSimilarity()
    #expect(measure.value == nil)
    for frame in 0..<2 { measure.add(b.rows(frame..<frame + 1), a.rows(frame..<frame + 1)) }
    #expect(abs(try #require(measure.value) - 0.7150309960214631) < 1e-6)
  }

  @Test("equal pictures score 1, pictures smaller than the window nothing")
  func edges() throws {
    var equal = StructuralSimilarity()
    equal.add(pictures(1), pictures(1))
    #expect(abs(try #require(equal.value) - 1) < 1e-12)
    var small = StructuralSimilarity()
    small.add(pictures(1, height: 6), pictures(2, height: 6))
    #expect(small.value == nil)
  }
}

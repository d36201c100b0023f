import EditSettings
import Foundation
import Tensor
import Testing
import VideoEditing

@testable import ClipEdit

@Suite struct EditMeasuresTests {
  private func pictures(_ name: String, frames: Int = 5) -> Tensor {
    RandomNumbers(seed: 1, stream: name).normal([frames, 9, 11, 3]).mapped { max(-1, min(1, $0)) }
  }

  /// Hands pictures over as the autoencoder gives them, some frames at a time.
  private func add(
    _ outputs: [(VideoEdit.Output, Tensor)], portions: [Range<Int>], to measures: inout EditMeasures
  ) throws {
    for frames in portions {
      for (output, pictures) in outputs { try measures.add(output, frames, pictures.rows(frames)) }
    }
  }

  @Test("a curve has each frame's own value, and the figure all frames'")
  func curves() throws {
    let (source, decoded, sampled) = (pictures("a"), pictures("b"), pictures("c"))
    var measures = EditMeasures(Pictures(source))
    try add(
      [(.autoencoded, decoded), (.reconstructed, sampled)], portions: [0..<2, 2..<5], to: &measures)
    var figures = EditFigures(frames: 5, size: FrameSize(width: 11, height: 9), frameRate: 25)
    measures.put(into: &figures)
    let curves = Dictionary(uniqueKeysWithValues: measures.curves.map { ($0.measure, $0) })
    #expect(
      Set(curves.keys).isSuperset(of: [
        "autoencoder_psnr", "reconstruction_psnr", "reconstruction_ssim", "inversion_psnr",
        "inversion_ssim",
      ]))
    let curve = try #require(curves["inversion_psnr"])
    #expect(curve.axis == .frame && curve.positions == [0, 1, 2, 3, 4])
    for frame in 0..<5 {
      var ratio = PeakSignalToNoiseRatio()
      ratio.add(sampled.rows(frame..<frame + 1), decoded.rows(frame..<frame + 1))
      #expect(curve.values[frame] == ratio.value)
    }
    var whole = PeakSignalToNoiseRatio()
    whole.add(sampled, source)
    #expect(abs(try #require(figures.reconstructionPSNR) - #require(whole.value)) < 1e-9)
    var similarity = StructuralSimilarity()
    similarity.add(sampled, decoded)
    #expect(abs(try #require(figures.inversionSSIM) - #require(similarity.value)) < 1e-9)
  }

  @Test("a frame that is as it should be has no finite ratio, and no place in the curve")
  func equalFrames() throws {
    let source = pictures("a", frames: 3)
    let truth = Tensor.concatenated([source.rows(0..<1), pictures("b", frames: 2)])
    var measures = EditMeasures(Pictures(source), truth: Pictures(truth))
    try add([(.edited, source)], portions: [0..<3], to: &measures)
    let curves = Dictionary(uniqueKeysWithValues: measures.curves.map { ($0.measure, $0) })
    #expect(try #require(curves["edit_psnr"]).positions == [1, 2])
    #expect(try #require(curves["changed_psnr"]).positions == [1, 2])
    #expect(curves["edit_psnr"]?.values == curves["unedited_psnr"]?.values)
    #expect(try #require(curves["edit_psnr"]).values.allSatisfy(\.isFinite))
  }

  @Test("nothing measured gives no curve")
  func nothing() { #expect(EditMeasures(Pictures(pictures("a"))).curves.isEmpty) }

  @Test("a long curve is thinned by means, and keeps its first position and its mean")
  func thinned() throws {
    let curve = MeasureCurve(
      measure: "edit_psnr", axis: .frame, positions: Array(0..<1024),
      values: (0..<1024).map { Double($0 % 7) })
    #expect(curve.thinned(to: 1024) == curve)
    let thin = curve.thinned()
    #expect(thin.positions == Array(stride(from: 0, to: 1024, by: 2)))
    #expect(thin.values[3] == 3)
    let odd = curve.thinned(to: 3)
    #expect(odd.positions == [0, 341, 682])
    #expect(abs(odd.values[0] - curve.values[..<341].reduce(0, +) / 341) < 1e-12)
    let data = try JSONEncoder().encode(thin)
    #expect(try JSONDecoder().decode(MeasureCurve.self, from: data) == thin)
  }
}

import EditSettings
import Foundation
import StableDiffusion
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

/// What CLIP says, by a small encoder with random weights.
@Suite struct EmbeddingMeasuresTests {
  /// The tiny world with an image encoder, and with a text encoder into its space where there shall
  /// be one; gone with the value.
  private final class Model {
    let model: StableDiffusionModel
    private let folder: TemporaryFolder
    private static let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "StableDiffusionTests/Goldens/clip")

    /// - Parameter change: of the folder, before it is opened.
    init(withTexts: Bool, _ change: (URL) throws -> Void = { _ in }) throws {
      folder = try TemporaryFolder()
      let files = FileManager.default
      for part in ["tokenizer", "text_encoder", "vae", "unet", "scheduler", "model_index.json"] {
        try files.createSymbolicLink(
          at: folder.url.appending(path: part),
          withDestinationURL: TinyWorld.folder.appending(path: part))
      }
      for part in ["image_encoder", "feature_extractor"] {
        try files.copyItem(
          at: Self.golden.appending(path: part), to: folder.url.appending(path: part))
      }
      if withTexts {
        let place = folder.url.appending(path: "text_encoder_with_projection")
        try files.copyItem(at: TinyWorld.folder.appending(path: "text_encoder"), to: place)
        let weights = place.appending(path: "model.safetensors")
        let file = try SafetensorsFile(weights)
        var tensors = try Dictionary(
          uniqueKeysWithValues: file.names.map { ($0, try file.tensor($0).copied()) })
        let width = try TinyWorld.model(.full).textEncoder.width
        tensors["text_projection.weight"] = RandomNumbers(seed: 3, stream: "projection").normal(
          [16, width])
        try files.removeItem(at: weights)
        _ = try SafetensorsFile.write(tensors, into: place.path) { _ in "model.safetensors" }
      }
      try change(folder.url)
      model = try StableDiffusionModel(at: folder.url)
    }
  }

  private let edited = RandomNumbers(seed: 1, stream: "edited").normal([19, 12, 20, 3])
    .clippedToPictures

  private func measured(by model: StableDiffusionModel, sourcePrompt: String = "a red ball")
    throws -> (figures: EditFigures, measures: EditMeasures, told: [Int])
  {
    var measures = EditMeasures(Pictures(edited))
    var told: [Int] = []
    try measures.compareEmbeddings(
      of: Pictures(edited), by: model,
      EditSettings(prompt: "a blue cube", sourcePrompt: sourcePrompt)
    ) { told.append($0) }
    var figures = EditFigures(frames: 19, size: FrameSize(width: 20, height: 12), frameRate: 25)
    measures.put(into: &figures)
    return (figures, measures, told)
  }

  @Test("frames are compared with the ones before and with both prompts, in portions as at once")
  func whole() throws {
    let encoders = try Model(withTexts: true)
    let (figures, measures, told) = try withExtendedLifetime(encoders) {
      try measured(by: encoders.model)
    }
    #expect(told == [16, 19])
    let clip = try #require(
      try withExtendedLifetime(encoders) { try encoders.model.similarity() })
    let texts = try #require(clip.embeddings(of: ["a blue cube", "a red ball"]))
    var once = EmbeddingMeasures(texts: texts)
    once.add(clip.pictures(edited))
    func near(_ a: Double?, _ b: Double?) -> Bool { abs((a ?? 9) - (b ?? 7)) < 1e-5 }
    #expect(near(figures.temCon, once.consistency) && near(figures.frameAcc, once.accuracy))
    #expect((-1...1).contains(try #require(figures.temCon)))
    let curve = try #require(measures.curves.first { $0.measure == "clip_similarity" })
    #expect(curve.positions == Array(1..<19))
    #expect(!measures.omissions.contains { $0.hasPrefix("tem_con") || $0.hasPrefix("frame_acc") })

    func direction(_ tensor: Tensor, _ row: Int) -> [Double] {
      tensor.rows(row..<row + 1).values.map(Double.init)
    }
    func cosine(_ a: [Double], _ b: [Double]) -> Double {
      func product(_ a: [Double], _ b: [Double]) -> Double {
        zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
      }
      return product(a, b) / (product(a, a) * product(b, b)).squareRoot()
    }
    let pictures = clip.pictures(edited)
    #expect(near(curve.values[4], cosine(direction(pictures, 4), direction(pictures, 5))))
    let nearer = (0..<19).count {
      cosine(direction(pictures, $0), direction(texts, 0))
        > cosine(direction(pictures, $0), direction(texts, 1))
    }
    #expect(figures.frameAcc == Double(nearer) / 19)
  }

  @Test("what is missing is named, and costs only what it is needed for")
  func missing() throws {
    func omission(_ name: String, _ measures: EditMeasures) -> String {
      measures.omissions.first { $0.contains(name) } ?? ""
    }
    let none = try measured(by: TinyWorld.model(.full))
    #expect(none.figures.temCon == nil && none.told.isEmpty)
    #expect(omission("tem_con, frame_acc", none.measures).contains("image_encoder"))
    let pictures = try Model(withTexts: false)
    let picturesOnly = try withExtendedLifetime(pictures) { try measured(by: pictures.model) }
    #expect(picturesOnly.figures.temCon != nil && picturesOnly.figures.frameAcc == nil)
    #expect(omission("frame_acc", picturesOnly.measures).contains("projection"))
    let both = try Model(withTexts: true)
    let unprompted = try withExtendedLifetime(both) {
      try measured(by: both.model, sourcePrompt: "")
    }
    #expect(unprompted.figures.temCon != nil && unprompted.figures.frameAcc == nil)
    #expect(omission("frame_acc", unprompted.measures).contains("source prompt"))
    let broken = try Model(withTexts: false) {
      try Data("{}".utf8).write(to: $0.appending(path: "image_encoder/config.json"))
    }
    let damaged = try withExtendedLifetime(broken) { try measured(by: broken.model) }
    #expect(damaged.figures.temCon == nil)
    #expect(omission("tem_con, frame_acc", damaged.measures).contains("config.json"))
  }
}

/// A whole edit's own measures.
@Suite struct MeasuredEditTests {
  @Test(
    "an edit measures flicker and features, and knows the features of an inversion that it reuses")
  func edit() throws {
    let cache = try TemporaryFolder()
    var (first, second) = (EditRun(cache: cache.url.path), EditRun(cache: cache.url.path))
    second.settings.prompt = "a photo of a green metal ball on sand"
    let (fresh, reused) = (try first(), try second())
    #expect(!fresh.inversionReused && reused.inversionReused)
    guard OpticalFlow.absence(height: 64, width: 64) == nil else {
      #expect(fresh.warpError == nil && fresh.featureConsistency == nil)
      return
    }
    let (error, own) = (try #require(fresh.warpError), try #require(fresh.sourceWarpError))
    #expect((0.1...100).contains(error) && (0.1...100).contains(own))
    #expect(reused.sourceWarpError == own && reused.warpError != error)
    let consistency = try #require(fresh.featureConsistency)
    #expect((0.3...1).contains(consistency))
    #expect(reused.featureConsistency == consistency)
    let data = try JSONEncoder().encode(fresh)
    #expect(try JSONDecoder().decode(EditFigures.self, from: data) == fresh)
  }
}

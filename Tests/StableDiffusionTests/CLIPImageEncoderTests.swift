import Foundation
import Tensor
import Testing

@testable import StableDiffusion

/// `Tests/References/image_encoder_reference.py` makes the models and the numbers.
@Suite struct CLIPImageEncoderTests {
  private static let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appending(path: "Goldens/clip")
  private let expected: SafetensorsFile

  init() throws {
    expected = try SafetensorsFile(Self.golden.appending(path: "expected.safetensors"))
  }

  private func component(_ name: String, prefix: String) throws -> ModelComponent {
    let file = try SafetensorsFile(Self.golden.appending(path: "\(name)/model.safetensors"))
    return ModelComponent(
      configuration: try ComponentConfiguration(Self.golden.appending(path: "\(name)/config.json")),
      weights: RenamedTensors(file) {
        .init($0.hasPrefix("visual_projection.") ? $0 : prefix + $0)
      }, files: [file], prefix: "")
  }

  private func encoder(preprocessing: String? = nil) throws -> CLIPImageEncoder {
    let values = try preprocessing.map {
      try JSONDecoder().decode([String: JSONValue].self, from: Data($0.utf8))
    }
    return try CLIPImageEncoder(
      component("image_encoder", prefix: "vision_model."),
      preprocessing: try values.map { ComponentConfiguration($0, place: "the test") }
        ?? ComponentConfiguration(
          Self.golden.appending(path: "feature_extractor/preprocessor_config.json")))
  }

  private func pictures(_ name: String) throws -> Tensor {
    try expected.tensor(name).mapped { $0 / 127.5 - 1 }
  }

  private func gap(_ ours: Tensor, _ theirs: Tensor) -> Float {
    guard ours.shape == theirs.shape else { return .infinity }
    return zip(ours.values, theirs.values).map { abs($0 - $1) }.max() ?? .infinity
  }

  @Test(
    "pictures larger and smaller than the encoder's are prepared as Pillow does it, to the pixel",
    arguments: ["wide", "tall"])
  func preprocessing(_ name: String) throws {
    let prepared = try encoder().prepared(pictures(name))
    #expect(gap(prepared, try expected.tensor("\(name).prepared")) < 1e-5)
  }

  @Test("agrees with transformers", arguments: ["wide", "tall"])
  func embeddings(_ name: String) throws {
    let ours = try encoder()(pictures(name))
    let theirs = try expected.tensor("\(name).embeddings")
    let size = theirs.values.map(abs).max() ?? 0
    #expect(gap(ours, theirs) < 1e-4 * size)
  }

  @Test("texts are projected as transformers does it, from the first end")
  func texts() throws {
    let file = try SafetensorsFile(Self.golden.appending(path: "text_encoder/model.safetensors"))
    let text = try CLIPTextProjection(
      component("text_encoder", prefix: "text_model."),
      projection: file.tensor("text_projection.weight"))
    let flat = try expected.integers("ids")
    let ids = [Array(flat[..<9]), Array(flat[9...])]
    let theirs = try expected.tensor("text.embeddings")
    let size = theirs.values.map(abs).max() ?? 0
    #expect(gap(text(ids, end: 39), theirs) < 1e-4 * size)
  }

  @Test("sizes are understood as older versions wrote them, and what is not supported is named")
  func configurations() throws {
    let plain = try encoder().prepared(pictures("wide"))
    for text in [#"{"size": 28, "crop_size": 28}"#, "{}"] {
      #expect(try encoder(preprocessing: text).prepared(pictures("wide")).values == plain.values)
    }
    for (text, key) in [
      (#"{"resample": 2}"#, "resample"), (#"{"do_center_crop": false}"#, "do_center_crop"),
      (#"{"size": 20}"#, "crop_size"), (#"{"crop_size": 20}"#, "crop_size"),
      (#"{"image_std": [1, 0, 1]}"#, "image_std"),
    ] {
      let error = #expect(throws: ModelError.self) { try encoder(preprocessing: text) }
      #expect(error.map { "\($0)".contains(key) } == true)
    }
  }
}

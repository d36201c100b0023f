import Foundation
import StableDiffusion
import Tensor
import Testing
import VideoEditing

/// The repository's own model.
enum TinyWorld {
  private static let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  static let folder = tests.deletingLastPathComponent().deletingLastPathComponent().appending(
    path: "Models/tiny-world")
  static let model = Result { try StableDiffusionModel(at: folder) }
  static let golden = tests.appending(path: "Goldens/tiny-world-104x72.safetensors")
}

@Suite struct ReferenceTests {
  /// Those that this processor can compute in.
  private static let precisions: [Precision] =
    Precision.isMixedSupported ? [.full, .mixed] : [.full]

  /// Five frames of 104x72: nothing is square, even or a whole group.
  @Test(
    "every component, inversion and TokenFlow agree with PyTorch and diffusers",
    arguments: precisions)
  func everythingAgrees(precision: Precision) throws {
    var names: [String] = []
    let passed = try Verification(
      model: StableDiffusionModel(at: TinyWorld.folder, precision: precision),
      golden: SafetensorsFile(TinyWorld.golden)
    ).run { outcome in
      switch outcome {
      case .compared(let row):
        names.append(row.name)
        #expect(row.passes, "\(row.name): \(row.error) is more than \(row.tolerance)")
      case .skipped(let name, let missing):
        Issue.record("\(name) was skipped for want of \(missing)")
      case .unusable(let name, let reason): Issue.record("\(name): \(reason)")
      }
    }
    #expect(passed)
    #expect(names.count == 18)
  }

  @Test(
    "a model of which one weight was damaged does not pass, in either precision",
    arguments: precisions)
  func damagedWeight(precision: Precision) throws {
    let model = try DamagedModel(
      "unet/diffusion_pytorch_model.safetensors", tensor: "conv_in.weight")
    var failed: [String] = []
    let passed = try Verification(
      model: StableDiffusionModel(at: model.folder, precision: precision),
      golden: SafetensorsFile(TinyWorld.golden)
    ).run { if case .compared(let row) = $0, !row.passes { failed.append(row.name) } }
    #expect(!passed)
    #expect(failed.contains("unet.output"))
    #expect(!failed.contains { $0.hasPrefix("vae.") || $0.hasPrefix("text.") })
  }

  @Test("verification fails where one number of a component is another")
  func verificationCanFail() throws {
    let damaged = try GoldenCopy()
    try damaged.overwrite("unet.output", with: 1000)
    var failed: [String] = []
    let passed = try verify(damaged) {
      if case .compared(let row) = $0, !row.passes { failed.append(row.name) }
    }
    #expect(!passed)
    #expect(failed == ["unet.output"])
  }

  @Test(
    "a golden file that is not what it should be fails its rows with a sentence, and nothing else",
    arguments: [
      ("text.input_ids", #""shape":[3,32]"#, #""shape":[96]"#, "text.hidden"),
      ("unet.sample", #""shape":[5,4,9,13]"#, #""shape":[4,5,9,13]"#, "unet.output"),
      ("stem.values", #""shape":[4,1000,24]"#, #""shape":[8,500,24]"#, "stem.key_bases"),
      ("tokenflow.keyframes", #""shape":[4,3]"#, #""shape":[3,4]"#, "tokenflow.first"),
      ("__metadata__", #""group":"2""#, #""group":"0""#, "tokenflow.first"),
      ("__metadata__", #""temperature":"0.01""#, #""temperature":"-nan""#, "stem.unet_output"),
    ])
  func malformedGolden(name: String, text: String, replacement: String, row: String) throws {
    let damaged = try GoldenCopy()
    try damaged.replace(text, by: replacement, after: name)
    var unusable: [String] = []
    var compared = 0
    let passed = try verify(damaged) {
      if case .unusable(let name, _) = $0 { unusable.append(name) }
      if case .compared = $0 { compared += 1 }
    }
    #expect(!passed)
    #expect(unusable.contains(row))
    #expect(compared > 5)
  }

  @Test("a file with nothing to compare does not pass")
  func nothingToCompare() throws {
    // Any file of weights is a golden file that holds none of the tensors.
    let unrelated = try SafetensorsFile(
      TinyWorld.folder.appending(path: "text_encoder/model.safetensors"))
    let verification = Verification(model: try TinyWorld.model.get(), golden: unrelated)
    #expect(try verification.run { _ in } == false)
  }

  private func verify(_ golden: GoldenCopy, _ report: (Verification.Outcome) -> Void) throws -> Bool
  {
    try Verification(model: TinyWorld.model.get(), golden: SafetensorsFile(golden.url)).run(report)
  }
}

/// A copy of the golden file that a test may damage.
private final class GoldenCopy {
  let url = FileManager.default.temporaryDirectory.appending(
    path: "golden-\(UUID().uuidString).safetensors")
  private var bytes: Data

  init() throws { bytes = try Data(contentsOf: TinyWorld.golden) }

  deinit { try? FileManager.default.removeItem(at: url) }

  /// Exchanges a piece of the header for one that is no longer.
  func replace(_ text: String, by replacement: String, after name: String) throws {
    let start = try #require(bytes.range(of: Data("\"\(name)\"".utf8))).lowerBound
    let found = try #require(bytes.range(of: Data(text.utf8), in: start..<bytes.endIndex))
    let padding = String(repeating: " ", count: text.utf8.count - replacement.utf8.count)
    bytes.replaceSubrange(found, with: Data((replacement + padding).utf8))
    try bytes.write(to: url)
  }

  /// Sets a tensor's first number.
  func overwrite(_ name: String, with value: Float) throws {
    let start = try offset(of: name, in: bytes)
    withUnsafeBytes(of: value.bitPattern.littleEndian) {
      bytes.replaceSubrange(start..<start + 4, with: $0)
    }
    try bytes.write(to: url)
  }
}

/// The model, but for a tensor's first number.
private final class DamagedModel {
  let folder = FileManager.default.temporaryDirectory.appending(path: "model-\(UUID().uuidString)")

  init(_ file: String, tensor: String) throws {
    let manager = FileManager.default
    try manager.copyItem(at: TinyWorld.folder, to: folder)
    let url = folder.appending(path: file)
    var bytes = try Data(contentsOf: url)
    // As a 16-bit float: 4, more than any weight of a trained model.
    let offset = try offset(of: tensor, in: bytes)
    bytes.replaceSubrange(offset..<offset + 2, with: [0x00, 0x44])
    try bytes.write(to: url)
  }

  deinit { try? FileManager.default.removeItem(at: folder) }
}

/// Where a tensor begins in a safetensors file.
private func offset(of tensor: String, in bytes: Data) throws -> Int {
  let length = Int(bytes.prefix(8).withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
  let header = try JSONSerialization.jsonObject(with: bytes[8..<8 + length]) as? [String: Any]
  let entry = try #require(header?[tensor] as? [String: Any])
  return 8 + length + (try #require(entry["data_offsets"] as? [Int]))[0]
}

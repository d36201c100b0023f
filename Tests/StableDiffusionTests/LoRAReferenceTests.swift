import Foundation
import Tensor
import Testing

@testable import StableDiffusion

/// What diffusers computes with LoRAs of every layout, by `Tests/References/lora_reference.py`.
@Suite struct LoRAReferenceTests {
  private static let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appending(path: "Goldens/loras")
  private static let reference = ProcessInfo.processInfo.environment["STEMD_LORA_REFERENCE"]

  @Test(
    "LoRAs do to a small model what they do in diffusers, in whatever layout they are",
    arguments: ["sd1", "sd2"])
  func layouts(kind: String) throws {
    #expect(try compare(Self.golden.appending(path: kind)) == 10)
  }

  @Test(
    "so they do to a larger one",
    .enabled(if: reference != nil, "STEMD_LORA_REFERENCE names no folder"),
    arguments: ["sd1", "sd2"])
  func largerModels(kind: String) throws {
    let folder = URL(fileURLWithPath: try #require(Self.reference)).appending(path: kind)
    #expect(try compare(folder) == 10)
  }

  /// - Returns: how many cases there were.
  private func compare(_ folder: URL) throws -> Int {
    let golden = try SafetensorsFile(folder.appending(path: "golden.safetensors"))
    let timestep = try #require(golden.metadata["timestep"].flatMap { Int($0) })
    let cases = try JSONDecoder().decode(
      [String: [String: Double]].self, from: Data(#require(golden.metadata["cases"]).utf8))
    let home = try completed(folder)
    defer { try? FileManager.default.removeItem(at: home) }
    for (name, weights) in cases {
      let loras = weights.map {
        (folder.appending(path: $0.key + ".safetensors"), $0.value)
      }
      let model = try StableDiffusionModel(
        StableDiffusionModel.source(at: home, loras: Dictionary(uniqueKeysWithValues: loras)))
      let text = model.encode([try #require(golden.metadata["prompt"])])
      let output = try model.unet(
        golden.tensor("unet.sample").channelsLast(), timestep: timestep,
        context: golden.tensor("unet.context"))
      for (part, ours, theirs) in [
        ("text", text, try golden.tensor(name + ".text")),
        ("unet", output, try golden.tensor(name + ".unet").channelsLast()),
      ] {
        #expect(ours.shape == theirs.shape)
        let error = relativeError(ours, theirs)
        #expect(error < 1e-5, "\(folder.lastPathComponent) \(name): \(part) differs by \(error)")
      }
    }
    return cases.count
  }

  /// A whole model: these networks, and the rest of the repository's.
  private func completed(_ folder: URL) throws -> URL {
    let home = FileManager.default.temporaryDirectory.appending(path: "lora-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: home, withIntermediateDirectories: false)
    for (from, parts) in [
      (folder, ["unet", "text_encoder"]),
      (TinyWorld.folder, ["vae", "tokenizer", "scheduler", "model_index.json"]),
    ] {
      for part in parts {
        try FileManager.default.createSymbolicLink(
          at: home.appending(path: part), withDestinationURL: from.appending(path: part))
      }
    }
    return home
  }

  private func relativeError(_ tensor: Tensor, _ expected: Tensor) -> Double {
    let (values, expected) = (tensor.values, expected.values)
    let difference = zip(values, expected).reduce(0.0) {
      $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1))
    }
    return (difference / expected.reduce(0.0) { $0 + Double($1 * $1) }).squareRoot()
  }
}

import Foundation
import Tensor
import Testing

@testable import StableDiffusion

@Suite struct LoRATests {
  /// Layers of every kind, with their weights' shapes in the repository's model.
  private static let unetLayers = [
    "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
    "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_out.0",
    "up_blocks.1.attentions.0.transformer_blocks.0.ff.net.0.proj",
    "mid_block.attentions.0.proj_in", "mid_block.resnets.0.conv1",
    "down_blocks.0.resnets.0.time_emb_proj",
  ]
  private static let textLayers = [
    "encoder.layers.0.self_attn.q_proj", "encoder.layers.1.mlp.fc1",
  ]

  /// A LoRA of random numbers, in the names of a layout, and the model that it makes of the
  /// repository's, by hand.
  private struct Sample {
    let file: URL
    let expected: StableDiffusionModel
    private let folders: [Any]

    init(
      weight: Float, alpha: Float?, seed: UInt64 = 1, unet: [String] = unetLayers,
      text: [String] = textLayers, metadata: [String: String] = [:],
      down: (_ layer: String, _ isText: Bool) -> String,
      up: (_ layer: String, _ isText: Bool) -> String,
      alphaName: (_ layer: String, _ isText: Bool) -> String? = { layer, _ in layer }
    ) throws {
      let (model, home) = (try DamagedModel(), try DamagedModel())
      var lora = StoredTensors()
      for (component, layers) in [("unet", unet), ("text_encoder", text)] where !layers.isEmpty {
        let isText = component == "text_encoder"
        let path =
          isText ? "text_encoder/model.safetensors" : "unet/diffusion_pytorch_model.safetensors"
        try model.rewrite(path) { stored in
          var tensors = try stored.stored(as: "F32")
          for layer in layers {
            let found = tensors.entries.keys.first { $0.hasSuffix(layer + ".weight") }
            let name = try #require(found)
            let shape = try #require(tensors.entries[name]).shape
            let rank = 3
            let numbers = RandomNumbers(seed: seed, stream: layer)
            let upward = numbers.normal([shape[0], rank]) * 0.1
            let downward =
              RandomNumbers(seed: seed, stream: layer + "down").normal(
                [rank] + shape[1...]) * 0.1
            let scale = weight * (alpha ?? Float(rank)) / Float(rank)
            var plain = tensors.entries[name]!.bytes.withUnsafeBytes {
              Array($0.bindMemory(to: Float.self))
            }
            let (u, d, inner) = (upward.values, downward.values, downward.count / rank)
            for row in 0..<shape[0] {
              for column in 0..<inner {
                var sum: Float = 0
                for r in 0..<rank { sum += u[row * rank + r] * d[r * inner + column] }
                plain[row * inner + column] += scale * sum
              }
            }
            tensors.entries[name]!.bytes = plain.withUnsafeBytes { Data($0) }
            func put(_ name: String, _ values: [Float], _ shape: [Int]) {
              lora.entries[name] = .init(
                type: "F32", shape: shape, bytes: values.withUnsafeBytes { Data($0) })
            }
            let ones = Array(repeating: 1, count: shape.count - 2)
            put(down(layer, isText), d, downward.shape)
            put(up(layer, isText), u, [shape[0], rank] + ones)
            if let alpha, let name = alphaName(layer, isText) { put(name, [alpha], []) }
          }
          return tensors
        }
      }
      file = home.folder.appending(path: "lora.safetensors")
      try lora.write(to: file, metadata: metadata)
      expected = try model.opened()
      folders = [model, home]
    }
  }

  private func opened(_ loras: [URL: Double]) throws -> StableDiffusionModel {
    try StableDiffusionModel(
      StableDiffusionModel.source(at: TinyWorld.folder, loras: loras))
  }

  private func kohya(weight: Float, alpha: Float?, seed: UInt64 = 1) throws -> Sample {
    func name(_ layer: String, _ isText: Bool, _ ending: String) -> String {
      (isText ? "lora_te_text_model_" : "lora_unet_") + layer.replacing(".", with: "_") + ending
    }
    return try Sample(
      weight: weight, alpha: alpha, seed: seed, down: { name($0, $1, ".lora_down.weight") },
      up: { name($0, $1, ".lora_up.weight") }, alphaName: { name($0, $1, ".alpha") })
  }

  @Test("kohya's names, with alpha and a weight", arguments: [(1.0, 3.0), (0.5, 1.5), (-1, 8)])
  func kohyaNames(weight: Double, alpha: Double) throws {
    let sample = try kohya(weight: Float(weight), alpha: Float(alpha))
    try TinyWorld.expectEqual(opened([sample.file: weight]), sample.expected)
  }

  @Test("diffusers' names of today, which are peft's")
  func peftNames() throws {
    func name(_ layer: String, _ isText: Bool, _ ending: String) -> String {
      (isText ? "text_encoder.text_model." : "unet.") + layer + ending
    }
    let sample = try Sample(
      weight: 0.8, alpha: nil, down: { name($0, $1, ".lora_A.weight") },
      up: { name($0, $1, ".lora_B.weight") })
    try TinyWorld.expectEqual(opened([sample.file: 0.8]), sample.expected)
  }

  @Test(
    "an alpha that diffusers notes beside the tensors, of a pipeline's LoRA or of a UNet's own",
    arguments: ["unet.", ""])
  func notedAlpha(prefix: String) throws {
    let sample = try Sample(
      weight: 0.5, alpha: nil, text: [],
      metadata: [
        "lora_adapter_metadata": "{\"\(prefix)r\": 3, \"\(prefix)lora_alpha\": 6}"
      ],
      down: { layer, _ in "\(prefix)\(layer).lora_A.weight" },
      up: { layer, _ in "\(prefix)\(layer).lora_B.weight" })
    // Twice the weight of a file without.
    let twice = try opened([sample.file: 0.25])
    try TinyWorld.expectEqual(twice, sample.expected)
  }

  @Test(
    "a layer's alpha is that of the first pattern that is its path or an end of it",
    arguments: [
      #"{"attn1.to_q": 6, "to_q": 9}"#, #"{"q": 9, "to_q": 6}"#, #"{"1.to_q": 9, "to_q": 6}"#,
      #"{"^attn1.to_q": 9, "attn1.to_q": 6}"#,
      #"{"^down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q": 6, "attn1.to_q": 9}"#,
    ])
  func alphaPatterns(patterns: String) throws {
    let sample = try Sample(
      weight: 1, alpha: 6, unet: Array(Self.unetLayers.prefix(1)), text: [],
      metadata: [
        "lora_adapter_metadata": #"{"unet.lora_alpha": 1, "unet.alpha_pattern": \#(patterns)}"#
      ],
      down: { layer, _ in "unet.\(layer).lora_A.weight" },
      up: { layer, _ in "unet.\(layer).lora_B.weight" },
      alphaName: { _, _ in nil })
    try TinyWorld.expectEqual(opened([sample.file: 1]), sample.expected)
  }

  @Test("kohya's names as diffusers writes them, whose text encoder has a number")
  func numberedTextEncoder() throws {
    func name(_ layer: String, _ isText: Bool, _ ending: String) -> String {
      (isText ? "lora_te1_text_model_" : "lora_unet_") + layer.replacing(".", with: "_") + ending
    }
    let sample = try Sample(
      weight: 1, alpha: nil, down: { name($0, $1, ".lora_down.weight") },
      up: { name($0, $1, ".lora_up.weight") })
    try TinyWorld.expectEqual(opened([sample.file: 1]), sample.expected)
  }

  @Test("diffusers' names of 2023, of attention's processors")
  func processorNames() throws {
    let layers = ["to_q", "to_k", "to_v", "to_out.0"].map {
      "down_blocks.1.attentions.0.transformer_blocks.0.attn1.\($0)"
    }
    func name(_ layer: String, _ ending: String) -> String {
      let place = layer.firstRange(of: "attn1.")!.upperBound
      let old = layer[place...].replacing("to_out.0", with: "to_out")
      return "unet." + layer[..<place] + "processor." + old + "_lora." + ending
    }
    let sample = try Sample(
      weight: 1, alpha: nil, unet: layers, text: [],
      down: { layer, _ in name(layer, "down.weight") },
      up: { layer, _ in name(layer, "up.weight") })
    try TinyWorld.expectEqual(opened([sample.file: 1]), sample.expected)
  }

  @Test("several add up, and each set of them is another model")
  func several() throws {
    let (one, two) = (
      try kohya(weight: 1, alpha: nil), try kohya(weight: 1, alpha: nil, seed: 2)
    )
    let both = try opened([one.file: 1, two.file: 1])
    let alone = try opened([one.file: 1])
    // What the second takes away leaves the first.
    let again = two.file.deletingLastPathComponent().appending(path: "again.safetensors")
    try FileManager.default.copyItem(at: two.file, to: again)
    let cancelled = try opened([one.file: 1, two.file: 1, again: -1])
    let (b, a, c) = (
      try TinyWorld.outputs(both)["unet"]!.values, try TinyWorld.outputs(alone)["unet"]!.values,
      try TinyWorld.outputs(cancelled)["unet"]!.values
    )
    #expect(b != a)
    #expect(zip(a, c).allSatisfy { abs($0 - $1) < 1e-3 })
    let identities = [
      both.identity, alone.identity, try opened([one.file: 0.5]).identity,
      try TinyWorld.model.get().identity,
    ]
    #expect(Set(identities).count == 4)
  }

  @Test("the shared weights stay the model's own, whole, whoever comes first")
  func sharedWeights() throws {
    let sample = try kohya(weight: 1, alpha: nil)
    let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    defer { try? FileManager.default.removeItem(at: folder) }
    let cache = PreparedModelCache(folder: folder.path(percentEncoded: false)) {
      Issue.record("\($0)")
    }
    let plain = try StableDiffusionModel.source(at: TinyWorld.folder)
    let changed = try ModelWithLoRAs(plain, loras: [sample.file: 1])
    let first = try cache.model(changed, precision: .full)
    #expect(first.isPrepared)
    try TinyWorld.expectEqual(first.model, sample.expected)
    let second = try cache.model(plain, precision: .full)
    #expect(!second.isPrepared)
    try TinyWorld.expectEqual(second.model, TinyWorld.model.get())
    #expect(try !cache.model(changed, precision: .full).isPrepared)
  }

  @Test("a LoRA without numbers, or with too large ones, is refused, and so is a pipe")
  func unusable() throws {
    let home = try DamagedModel()
    let file = home.folder.appending(path: "lora.safetensors")
    let layer = "lora_unet_mid_block_attentions_0_proj_in"
    func complaint(down: [Int], alpha: Float = 1) throws -> String {
      var stored = StoredTensors()
      for (name, shape) in [("lora_down", down), ("lora_up", [128, 2])] {
        stored.entries["\(layer).\(name).weight"] = .init(
          type: "F32", shape: shape, bytes: Data(count: 4 * shape.reduce(1, *)))
      }
      stored.entries["\(layer).alpha"] = .init(
        type: "F32", shape: [], bytes: withUnsafeBytes(of: alpha) { Data($0) })
      try stored.write(to: file)
      do {
        _ = try opened([file: 1e30])
        return "(it loads)"
      } catch { return "\(error)" }
    }
    #expect(try complaint(down: [1 << 57, 0]).contains("has no usable numbers"))
    #expect(try complaint(down: [2, 128], alpha: 1e20).contains("is too large"))
    try FileManager.default.removeItem(at: file)
    mkfifo(file.path(percentEncoded: false), 0o600)
    #expect(throws: ModelError.self) { try opened([file: 1]) }
  }

  @Test("what is no LoRA of this model is refused by name")
  func refusals() throws {
    let home = try DamagedModel()
    let file = home.folder.appending(path: "lora.safetensors")
    func complaint(_ shapes: [String: [Int]]) throws -> String {
      var stored = StoredTensors()
      for (name, shape) in shapes {
        stored.entries[name] = .init(
          type: "F32", shape: shape, bytes: Data(count: 4 * shape.reduce(1, *)))
      }
      try stored.write(to: file)
      do {
        _ = try opened([file: 1])
        return "(it loads)"
      } catch { return "\(error)" }
    }
    let layer = "mid_block_attentions_0_transformer_blocks_0_attn1_to_q"
    let (down, up) = ("lora_unet_\(layer).lora_down.weight", "lora_unet_\(layer).lora_up.weight")
    #expect(
      try complaint([down: [2, 3], up: [5, 2]]).contains("it was made for another model"))
    #expect(try complaint([down: [2, 3]]).contains("no up part"))
    #expect(
      try complaint([
        "lora_unet_mid_block_nowhere.lora_down.weight": [2, 3],
        "lora_unet_mid_block_nowhere.lora_up.weight": [5, 2],
      ]).contains("'mid_block_nowhere'"))
    #expect(
      try complaint(["lora_te2_text_model_x.lora_down.weight": [2, 3]]).contains("Diffusion XL"))
    #expect(try complaint(["lora_unet_\(layer).hada_w1_a": [2, 3]]).contains("a LoHa"))
    #expect(try complaint(["unet.conv_in.lora_B.bias": [2]]).contains("with biases"))
    #expect(
      try complaint(["base_model.model.conv_in.lora_A.weight": [2, 3]]).contains("as peft saves it")
    )
    #expect(
      try complaint(["mid_block.conv.weight": [2, 3]]).contains("holds 'mid_block.conv.weight'"))
    #expect(
      try complaint([down: [2, 3], up: [5, 2], "lora_unet_\(layer).alpha": [2]]).contains(
        "one number"))
    try Data([0x80, 0x02]).write(to: file)
    #expect(throws: (any Error).self) { try opened([file: 1]) }
    try FileManager.default.removeItem(at: file)
    let error = #expect(throws: ModelError.self) { try opened([file: 1]) }
    #expect(error?.description.contains("there is no LoRA") == true)
  }
}

import Foundation
import StableDiffusion
import Tensor
import Testing

/// One model in the many forms that diffusers and transformers wrote over the years.
@Suite struct FolderVariantsTests {
  private static let unet = "unet/diffusion_pytorch_model.safetensors"
  private static let autoencoder = "vae/diffusion_pytorch_model.safetensors"
  private static let text = "text_encoder/model.safetensors"
  private static let files = [unet, autoencoder, text]

  private func expectTinyWorld(_ variant: DamagedModel, _ note: String = "") throws {
    try TinyWorld.expectEqual(
      variant.opened(), TinyWorld.model.get(), note)
  }

  @Test("32-bit weights are read as they are, and are the 16-bit ones")
  func wide() throws {
    let model = try DamagedModel()
    for file in Self.files { try model.rewrite(file) { try $0.stored(as: "F32") } }
    try expectTinyWorld(model)
  }

  @Test("16-bit brain floats are what they are in 32 bits")
  func brainFloats() throws {
    let (narrow, wide) = (try DamagedModel(), try DamagedModel())
    for file in Self.files {
      try narrow.rewrite(file) { try $0.stored(as: "BF16") }
      try wide.rewrite(file) { try $0.stored(as: "BF16").stored(as: "F32") }
    }
    try TinyWorld.expectEqual(
      narrow.opened(), wide.opened())
  }

  @Test(
    "weights of a variant alone are taken",
    arguments: ["fp16", "bf16", "ema", "non_ema"])
  func variant(name: String) throws {
    let model = try DamagedModel()
    for file in Self.files {
      try model.rewrite(file, as: file.replacing(".safetensors", with: ".\(name).safetensors")) {
        $0
      }
    }
    try expectTinyWorld(model)
  }

  @Test("of several variants the one without a name is taken, and the one to train on last")
  func preference() throws {
    let model = try DamagedModel()
    let wrong = try model.tensors(Self.unet).stored(as: "BF16")
    try wrong.write(
      to: model.folder.appending(path: "unet/diffusion_pytorch_model.fp16.safetensors"))
    try expectTinyWorld(model, "plain before fp16")
    let other = try DamagedModel()
    try other.rewrite(Self.unet, as: "unet/diffusion_pytorch_model.fp16.safetensors") { $0 }
    try wrong.write(
      to: other.folder.appending(path: "unet/diffusion_pytorch_model.non_ema.safetensors"))
    try expectTinyWorld(other, "fp16 before non_ema")
  }

  /// - Parameters: the names of an index and of its files, as diffusers and transformers write them.
  private func shard(_ model: DamagedModel, _ file: String, index: String, part: String) throws {
    let tensors = try model.tensors(file)
    let folder = (file as NSString).deletingLastPathComponent
    let names = tensors.entries.keys.sorted()
    var map: [String: String] = [:]
    for number in 0..<3 {
      let name = part.replacing("N", with: "0000\(number + 1)-of-00003")
      let own = Set(names.enumerated().filter { $0.offset % 3 == number }.map(\.element))
      for tensor in own { map[tensor] = name }
      try tensors.renamed { own.contains($0) ? $0 : nil }.write(
        to: model.folder.appending(path: "\(folder)/\(name)"))
    }
    try model.remove(file)
    let json: [String: Any] = ["metadata": ["total_size": 1], "weight_map": map]
    try JSONSerialization.data(withJSONObject: json).write(
      to: model.folder.appending(path: "\(folder)/\(index)"))
  }

  @Test(
    "weights in several files with an index are one",
    arguments: [
      ("X.safetensors.index.json", "X-N.safetensors"),
      ("X.safetensors.index.fp16.json", "X.fp16-N.safetensors"),
      ("X.fp16.safetensors.index.json", "X-N.fp16.safetensors"),
    ])
  func sharded(index: String, part: String) throws {
    let model = try DamagedModel()
    for file in Self.files {
      let name = ((file as NSString).lastPathComponent as NSString).deletingPathExtension
      try shard(
        model, file, index: index.replacing("X", with: name), part: part.replacing("X", with: name))
    }
    try expectTinyWorld(model)
  }

  @Test(
    "an index that is damaged, or of files that are missing or lie elsewhere, is refused by name")
  func damagedIndex() throws {
    func complaint(_ change: (DamagedModel) throws -> Void) throws -> String {
      let model = try DamagedModel()
      try shard(
        model, Self.unet, index: "diffusion_pytorch_model.safetensors.index.json",
        part: "diffusion_pytorch_model-N.safetensors")
      try change(model)
      return model.complaint()
    }
    let index = "unet/diffusion_pytorch_model.safetensors.index.json"
    let second = "diffusion_pytorch_model-00002-of-00003.safetensors"
    let missing = try complaint { try $0.remove("unet/" + second) }
    #expect(missing.contains(second) && missing.contains("missing"))
    let garbage = try complaint { try $0.write("{}", to: index) }
    #expect(garbage.contains("index.json") && garbage.contains("weight_map"))
    let elsewhere = try complaint {
      try $0.write(#"{"weight_map": {"conv_in.weight": "../../secret"}}"#, to: index)
    }
    #expect(elsewhere.contains("../../secret"))
    let wrong = try complaint {
      try $0.write(#"{"weight_map": {"conv_in.nothing": "\#(second)"}}"#, to: index)
    }
    #expect(wrong.contains("conv_in.nothing") && wrong.contains(second))
  }

  @Test(
    "an autoencoder with the attention's old names, as matrices or as 1x1 convolutions, is the same",
    arguments: [false, true])
  func oldAutoencoder(asConvolutions: Bool) throws {
    let old = ["to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"]
    let model = try DamagedModel()
    var renamed = 0
    try model.rewrite(Self.autoencoder) { tensors in
      var tensors = tensors.renamed { name in
        guard let (new, old) = old.first(where: { name.contains("attentions.0.\($0.key).") }) else {
          return name
        }
        renamed += 1
        return name.replacing(".\(new).", with: ".\(old).")
      }
      for name in tensors.entries.keys
      where asConvolutions && old.values.contains(where: { name.hasSuffix(".\($0).weight") }) {
        tensors.entries[name]?.shape += [1, 1]
      }
      return tensors
    }
    #expect(renamed == 16)
    try expectTinyWorld(model)
  }

  @Test("a text encoder is the same with and without the old prefix, position ids and a projection")
  func textEncoders() throws {
    let model = try DamagedModel()
    let isPrefixed = try model.tensors(Self.text).entries.keys.contains {
      $0.hasPrefix("text_model.")
    }
    try model.rewrite(Self.text) { tensors in
      var tensors = tensors.renamed {
        isPrefixed ? String($0.dropFirst("text_model.".count)) : "text_model.\($0)"
      }
      let prefix = isPrefixed ? "" : "text_model."
      tensors.entries[prefix + "embeddings.position_ids"] = .init(
        type: "I64", shape: [1, 32], bytes: Data(count: 32 * 8))
      tensors.entries["text_projection.weight"] = .init(
        type: "F16", shape: [64, 128], bytes: Data(count: 64 * 128 * 2))
      return tensors
    }
    try model.set("architectures", ["CLIPTextModelWithProjection"], in: "text_encoder/config.json")
    try expectTinyWorld(model)
  }

  @Test("heads are a number or a list, under either name, and projections matrices or convolutions")
  func heads() throws {
    for (key, value) in [
      ("attention_head_dim", [4, 4, 4, 4] as Any), ("num_attention_heads", 4),
      ("num_attention_heads", [4, 4, 4, 4]),
    ] {
      let model = try DamagedModel()
      if key == "num_attention_heads" {
        try model.set("attention_head_dim", 2, in: "unet/config.json")
      }
      try model.set(key, value, in: "unet/config.json")
      try expectTinyWorld(model, "\(key) \(value)")
    }
    let model = try DamagedModel()
    try model.rewrite(Self.unet) { tensors in
      var tensors = tensors
      for name in tensors.entries.keys
      where name.hasSuffix(".proj_in.weight") || name.hasSuffix(".proj_out.weight") {
        tensors.entries[name]?.shape.removeLast(2)
      }
      return tensors
    }
    try model.set("use_linear_projection", true, in: "unet/config.json")
    try model.set("upcast_attention", true, in: "unet/config.json")
    try expectTinyWorld(model, "linear projections")
  }

  @Test("other heads, by a list, are another model")
  func otherHeads() throws {
    let model = try DamagedModel()
    try model.set("attention_head_dim", [4, 8, 4, 4], in: "unet/config.json")
    let other = try TinyWorld.outputs(model.opened())
    let own = try TinyWorld.outputs(TinyWorld.model.get())
    #expect(other["unet"]?.values != own["unet"]?.values)
  }

  /// As transformers writes it since version 5, and before.
  @Test("a tokenizer in one file is the same as in two", arguments: [false, true])
  func tokenizerInOneFile(pairsAsTexts: Bool) throws {
    let model = try DamagedModel()
    func text(_ file: String) throws -> String {
      try String(contentsOf: model.folder.appending(path: "tokenizer/\(file)"), encoding: .utf8)
    }
    let lines = try text("merges.txt").split(separator: "\n").filter { !$0.hasPrefix("#version") }
    let merges = lines.map { line -> Any in
      pairsAsTexts ? String(line) : line.split(separator: " ").map(String.init)
    }
    let vocabulary = try JSONSerialization.jsonObject(with: Data(text("vocab.json").utf8))
    let json: [String: Any] = [
      "version": "1.0", "added_tokens": [["id": 685, "content": "<|startoftext|>"]],
      "model": [
        "type": "BPE", "end_of_word_suffix": "</w>", "vocab": vocabulary, "merges": merges,
      ],
    ]
    for file in ["vocab.json", "merges.txt"] { try model.remove("tokenizer/" + file) }
    try JSONSerialization.data(withJSONObject: json).write(
      to: model.folder.appending(path: "tokenizer/tokenizer.json"))
    let (ours, own) = (try model.opened().tokenizer, try TinyWorld.model.get().tokenizer)
    for prompt in ["a photo of a red rubber ball", "Ünïcode, it's 42!", ""] {
      #expect(ours.encode(prompt) == own.encode(prompt))
    }
    try model.write(#"{"model": {"type": "Unigram", "vocab": []}}"#, to: "tokenizer/tokenizer.json")
    #expect(model.complaint().contains("tokenizer.json"))
  }
}

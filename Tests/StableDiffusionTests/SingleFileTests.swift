import Foundation
import Testing

@testable import StableDiffusion

@Suite struct SingleFileTests {
  @Test("a checkpoint of 1.x computes what the folder computes", arguments: ["F16", "F32", "BF16"])
  func first(type: String) throws {
    let layout = try OriginalLayout(.first)
    if type == "BF16" {
      for file in [
        "unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model",
      ] {
        try layout.folder.rewrite(file + ".safetensors") { try $0.stored(as: "BF16") }
      }
    }
    let checkpoint = try layout.written { tensors in
      if type != "F16", let stored = try? tensors.stored(as: type) { tensors = stored }
    }
    let model = try StableDiffusionModel(layout.source(checkpoint))
    try TinyWorld.expectEqual(model, layout.folder.opened())
    #expect(model.nativeSize == 512)
    #expect(model.scheduler.prediction == .epsilon)
    #expect(try model.scheduler.timesteps(50) == TinyWorld.model.get().scheduler.timesteps(50))
    #expect(model.scheduler.alphasCumprod == (try TinyWorld.model.get().scheduler.alphasCumprod))
    #expect(model.scheduler.finalAlphaCumprod == model.scheduler.alphasCumprod[0])
  }

  @Test(
    "a checkpoint of 2.x computes what the folder computes, but for OpenCLIP's last layer",
    arguments: ["epsilon", "v_prediction"])
  func second(prediction: String) throws {
    let layout = try OriginalLayout(.second)
    try layout.folder.write("prediction_type: \(prediction)", to: "model.yaml")
    let model = try StableDiffusionModel(layout.source(layout.written()))
    try TinyWorld.expectEqual(model, layout.folder.opened())
    #expect(model.scheduler.prediction.rawValue == prediction)
    #expect(model.nativeSize == (prediction == "epsilon" ? 512 : 768))
  }

  @Test("a checkpoint of 2.x that was made of a folder has no layer too many")
  func madeOfAFolder() throws {
    let layout = try OriginalLayout(.second)
    try layout.folder.write("prediction_type: epsilon", to: "model.yaml")
    let checkpoint = try layout.written { tensors in
      tensors = tensors.renamed { name in
        let beyond = [".resblocks.3.", ".text_projection", ".logit_scale"]
        return beyond.contains { name.contains($0) } ? nil : name
      }
    }
    try TinyWorld.expectEqual(
      StableDiffusionModel(layout.source(checkpoint)), layout.folder.opened())
  }

  @Test("a checkpoint's weights can be prepared and shared as a folder's can")
  func prepared() throws {
    let layout = try OriginalLayout(.first)
    let cache = layout.folder.folder.appending(path: "cache").path(percentEncoded: false)
    let source = try layout.source(layout.written())
    let opened = try (0..<2).map { _ in
      try PreparedModelCache(folder: cache) { Issue.record("\($0)") }.model(
        source, precision: .full)
    }
    #expect(opened.map(\.isPrepared) == [true, false])
    for model in opened { try TinyWorld.expectEqual(model.model, layout.folder.opened()) }
  }

  @Test("a text encoder without the old prefix is the same")
  func textEncoderWithoutPrefix() throws {
    let layout = try OriginalLayout(.first)
    let checkpoint = try layout.written { tensors in
      tensors = tensors.renamed { $0.replacing(".transformer.text_model.", with: ".transformer.") }
    }
    try TinyWorld.expectEqual(
      StableDiffusionModel(layout.source(checkpoint)), layout.folder.opened())
  }

  @Test(
    "what a checkpoint predicts is said by the file beside it, its metadata or its family, in this order",
    arguments: [
      ("prediction_type: v_prediction", [:], "v_prediction"),
      ("prediction_type: epsilon", ["modelspec.prediction_type": "v"], "epsilon"),
      ("model: {params: {parameterization: v}}", [:], "v_prediction"),
      ("model: {params: {linear_start: 0.00085}}", [:], "epsilon"),
      (nil, ["modelspec.prediction_type": "v"], "v_prediction"),
      (nil, ["modelspec.prediction_type": "epsilon"], "epsilon"),
      (nil, ["modelspec.architecture": "stable-diffusion-v2-768-v"], "v_prediction"),
      (nil, ["modelspec.architecture": "stable-diffusion-v2-512"], "epsilon"),
    ] as [(String?, [String: String], String)])
  func predictions(notes: String?, metadata: [String: String], expected: String) throws {
    for version in [OriginalLayout.Version.first, .second] {
      let layout = try OriginalLayout(version)
      if let notes { try layout.folder.write(notes, to: "model.yaml") }
      let source = try layout.source(layout.written(metadata: metadata))
      #expect(try StableDiffusionModel(source).scheduler.prediction.rawValue == expected)
    }
  }

  @Test("what a checkpoint predicts is part of what tells it from others")
  func identity() throws {
    let layout = try OriginalLayout(.second)
    let checkpoint = try layout.written()
    let identities = try ["epsilon", "v_prediction", "epsilon"].map { prediction in
      try layout.folder.write("prediction_type: \(prediction)", to: "model.yaml")
      return try layout.source(checkpoint).identity()
    }
    #expect(identities[0] == identities[2] && identities[0] != identities[1])
  }

  private func complaint(_ open: () throws -> Void) -> String {
    do {
      try open()
      return "(it loads)"
    } catch { return "\(error)" }
  }

  @Test("a checkpoint of 2.x that does not say what it predicts is refused with what to do")
  func unsaid() throws {
    let layout = try OriginalLayout(.second)
    let checkpoint = try layout.written()
    let complaint = complaint { _ = try StableDiffusionModel(layout.source(checkpoint)) }
    #expect(complaint.contains("model.yaml") && complaint.contains("prediction_type: v_prediction"))
    #expect(complaint.contains("stemctl models inspect"))
  }

  @Test(
    "notes that say nothing of use are refused by name",
    arguments: [
      ("prediction_type: sample", "sample"), ("prediction_type: [v]", "a list"),
      ("x: 1", "neither"),
      ("model: {params: {parameterization: x0}}", "x0"), ("{", "YAML"), ("\u{0}", "YAML"),
      ("a: &a [x]\nprediction_type: epsilon\n? [*a, *a]\n: x", "YAML"),
    ])
  func wrongNotes(notes: String, named: String) throws {
    let layout = try OriginalLayout(.first)
    try layout.folder.write(notes, to: "model.yaml")
    let checkpoint = try layout.written()
    let complaint = complaint { _ = try StableDiffusionModel(layout.source(checkpoint)) }
    #expect(complaint.contains("model.yaml") && complaint.contains(named), "\(complaint)")
  }

  @Test(
    "a checkpoint without all parts says which are missing",
    arguments: [
      (["first_stage_model."], ["autoencoder"]), (["cond_stage_model."], ["text encoder"]),
      (["first_stage_model.", "cond_stage_model."], ["autoencoder", "text encoder"]),
    ])
  func missingParts(prefixes: [String], named: [String]) throws {
    let layout = try OriginalLayout(.first)
    let checkpoint = try layout.written { tensors in
      tensors = tensors.renamed { name in
        prefixes.contains { name.hasPrefix($0) } ? nil : name
      }
    }
    let complaint = complaint { _ = try StableDiffusionModel(layout.source(checkpoint)) }
    #expect(named.allSatisfy { complaint.contains($0) }, "\(complaint)")
    #expect(!complaint.contains("UNet"))
  }

  @Test("a checkpoint of the training's average alone says so, and one that has it beside is taken")
  func averages() throws {
    let layout = try OriginalLayout(.first)
    func average(_ name: String) -> String {
      "model_ema." + name.dropFirst("model.".count).replacing(".", with: "")
    }
    let alone = try layout.written { tensors in
      tensors = tensors.renamed { $0.hasPrefix("model.") ? average($0) : $0 }
    }
    let complaint = complaint { _ = try StableDiffusionModel(layout.source(alone)) }
    #expect(complaint.contains("UNet") && complaint.contains("model_ema"), "\(complaint)")
    let both = try layout.written { tensors in
      tensors = tensors.merging(
        tensors.renamed { $0.hasPrefix("model.") ? average($0) : nil })
    }
    try TinyWorld.expectEqual(StableDiffusionModel(layout.source(both)), layout.folder.opened())
  }

  @Test("a tensor that is missing or of another shape is named as the file names it")
  func damaged() throws {
    let layout = try OriginalLayout(.first)
    let name = "model.diffusion_model.output_blocks.5.0.out_layers.3.weight"
    let missing = try layout.written { $0.entries[name] = nil }
    #expect(
      complaint { _ = try StableDiffusionModel(layout.source(missing)) }.contains("'\(name)'"))
    let other = try layout.written { $0.entries[name]?.shape.reverse() }
    #expect(
      complaint { _ = try StableDiffusionModel(layout.source(other)) }.contains("'\(name)'"))
  }

  @Test("instructions and inpainting are told apart by the UNet's channels")
  func channels() throws {
    let layout = try OriginalLayout(.first)
    func widened(_ channels: Int) throws -> URL {
      try layout.written { tensors in
        tensors.entries["model.diffusion_model.input_blocks.0.0.weight"] = .init(
          type: "F16", shape: [64, channels, 3, 3], bytes: Data(count: 64 * channels * 9 * 2))
      }
    }
    #expect(try StableDiffusionModel(layout.source(widened(8))).takesInstructions)
    let inpainting = try widened(9)
    let complaint = complaint { _ = try StableDiffusionModel(layout.source(inpainting)) }
    #expect(complaint.contains("inpainting"))
  }
}

@Suite struct OtherFilesTests {
  private func complaint(_ names: [String]) throws -> String {
    let url = FileManager.default.temporaryDirectory.appending(
      path: "\(UUID().uuidString).safetensors")
    defer { try? FileManager.default.removeItem(at: url) }
    var tensors = StoredTensors()
    for name in names {
      tensors.entries[name] = .init(type: "F16", shape: [2], bytes: Data(count: 4))
    }
    try tensors.write(to: url)
    do {
      _ = try StableDiffusionModel(at: url)
      return "(it loads)"
    } catch { return "\(error)" }
  }

  @Test(
    "files of other kinds are refused by name",
    arguments: [
      (["lora_te_text_model_encoder_layers_0_mlp_fc1.hada_w1_a"], "LyCORIS"),
      (["control_model.input_blocks.0.0.weight"], "ControlNet"),
      (
        ["controlnet_cond_embedding.conv_in.weight", "down_blocks.0.resnets.0.norm1.weight"],
        "ControlNet"
      ),
      (["down_blocks.0.motion_modules.0.temporal_transformer.norm.weight"], "motion module"),
      (
        [
          "conditioner.embedders.0.transformer.text_model.final_layer_norm.bias",
          "model.diffusion_model.input_blocks.0.0.weight",
        ], "Stable Diffusion XL"
      ),
      (["model.diffusion_model.joint_blocks.0.x_block.attn.proj.bias"], "Stable Diffusion 3"),
      (["double_blocks.0.img_attn.norm.key_norm.scale"], "Flux"),
      (["emb_params"], "textual inversion"), (["down_blocks.0.resnets.0.norm1.weight"], "UNet"),
      (["encoder.down.0.block.0.norm1.weight"], "autoencoder"),
      (["text_model.final_layer_norm.bias"], "text encoder"),
      (["cond_stage_model.transformer.text_model.final_layer_norm.bias"], "text encoder"),
      (["encoder.block.0.layer.0.SelfAttention.k.weight"], "T5"),
      (["a.stranger.weight"], "a.stranger.weight"),
    ])
  func others(names: [String], name: String) throws {
    let complaint = try complaint(names)
    let refusal = name == "LoRA" ? "the key 'loras'" : "not supported"
    #expect(complaint.contains(name) && complaint.contains(refusal), "\(complaint)")
  }

  @Test(
    "a LoRA in a model's place says where it belongs",
    arguments: [
      "lora_unet_down_blocks_0_attentions_0_proj_in.lora_up.weight",
      "unet.down_blocks.0.attentions.0.to_q.lora_A.weight",
    ])
  func loras(name: String) throws {
    let complaint = try complaint([name])
    #expect(complaint.contains("is a LoRA") && complaint.contains("'loras'"), "\(complaint)")
  }

  @Test(
    "a pickled checkpoint is refused with the reason and the command that helps, whatever its name",
    arguments: [
      ("model.ckpt", "anything"), ("model.pt", "anything"), ("model.pth", "anything"),
      ("it's.bin", "anything"), ("model.safetensors", "PK\u{3}\u{4}and more"),
    ])
  func pickled(name: String, content: String) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let url = folder.appending(path: name)
    try Data(content.utf8).write(to: url)
    let error = #expect(throws: ModelError.self) { try StableDiffusionModel(at: url) }
    let complaint = try #require(error).description
    #expect(complaint.contains("can run any program") && complaint.contains("python3 -c"))
    #expect(complaint.contains(name.replacing("'", with: "'\\''")))
    #expect(complaint.contains("save_file"))
  }

  @Test("a pipe is refused without being opened")
  func pipe() throws {
    let url = FileManager.default.temporaryDirectory.appending(
      path: "\(UUID().uuidString).safetensors")
    #expect(mkfifo(url.path(percentEncoded: false), 0o600) == 0)
    defer { try? FileManager.default.removeItem(at: url) }
    #expect(throws: ModelError.self) { try StableDiffusionModel(at: url) }
  }
}

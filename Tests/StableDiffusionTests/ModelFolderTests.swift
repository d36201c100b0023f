import Foundation
import StableDiffusion
import Synchronization
import Testing

@Suite struct ModelFolderTests {
  @Test("a folder that is missing or is no model says so")
  func noModel() {
    let error = #expect(throws: ModelError.self) {
      try StableDiffusionModel(at: URL(fileURLWithPath: "/nonexistent/model"))
    }
    #expect(error?.description.contains("/nonexistent/model") == true)
    #expect(throws: ModelError.self) {
      try StableDiffusionModel(at: FileManager.default.temporaryDirectory)
    }
  }

  @Test(
    "a missing file is named",
    arguments: [
      "unet/config.json", "unet/diffusion_pytorch_model.safetensors", "vae/config.json",
      "text_encoder/model.safetensors", "tokenizer/vocab.json",
      "tokenizer/merges.txt", "scheduler/scheduler_config.json", "scheduler",
    ])
  func missingFile(file: String) throws {
    let damaged = try DamagedModel()
    try damaged.remove(file)
    #expect(damaged.complaint().contains((file as NSString).lastPathComponent))
  }

  @Test(
    "a pipe in a file's place is refused by name, and never opened",
    arguments: [
      "unet/config.json", "unet/diffusion_pytorch_model.safetensors",
      "vae/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors",
      "tokenizer/vocab.json", "tokenizer/merges.txt", "scheduler/scheduler_config.json",
    ])
  func pipe(file: String) throws {
    let damaged = try DamagedModel()
    let path = damaged.folder.appending(path: file).path(percentEncoded: false)
    try damaged.remove(file)
    #expect(mkfifo(path, 0o600) == 0)
    // Whoever does open it is let go after a while.
    let opened = Mutex(false)
    let watch = Thread {
      for _ in 0..<100 {
        usleep(50_000)
        let end = open(path, O_WRONLY | O_NONBLOCK)
        if end >= 0 {
          opened.withLock { $0 = true }
          close(end)
        }
      }
    }
    watch.start()
    #expect(damaged.complaint().contains((file as NSString).lastPathComponent))
    #expect(!opened.withLock { $0 })
  }

  @Test(
    "an option that is not supported is named, with the value",
    arguments: [
      ("unet/config.json", "class_embed_type", "timestep"), ("unet/config.json", "act_fn", "gelu"),
      ("unet/config.json", "mid_block_type", "UNetMidBlock2D"),
      ("vae/config.json", "act_fn", "mish"),
      ("scheduler/scheduler_config.json", "prediction_type", "sample"),
      ("scheduler/scheduler_config.json", "beta_schedule", "squaredcos_cap_v2"),
      ("text_encoder/config.json", "hidden_act", "relu"),
      ("scheduler/scheduler_config.json", "timestep_spacing", "sideways"),
      ("unet/config.json", "resnet_time_scale_shift", "scale_shift"),
    ])
  func unsupportedOption(file: String, key: String, value: String) throws {
    let damaged = try DamagedModel()
    try damaged.set(key, value, in: file)
    let complaint = damaged.complaint()
    #expect(complaint.contains(key) && complaint.contains(value) && complaint.contains(file))
  }

  @Test(
    "a size that does not fit the weights names the tensor and both shapes, and a wrong type names the key",
    arguments: [
      ("unet/config.json", "cross_attention_dim", "64", "attn2.to_k"),
      ("unet/config.json", "norm_num_groups", "7", "norm_num_groups"),
      ("unet/config.json", "attention_head_dim", "5", "attention_head_dim"),
      ("unet/config.json", "block_out_channels", "[64, 96, 128]", "levels"),
      ("unet/config.json", "layers_per_block", "true", "layers_per_block"),
      ("vae/config.json", "layers_per_block", "2", "resnets.1"),
      ("text_encoder/config.json", "num_hidden_layers", "4", "layers.3"),
      ("text_encoder/config.json", "hidden_size", "-1", "hidden_size"),
      ("text_encoder/config.json", "vocab_size", "600", "token_embedding"),
    ])
  func wrongSize(file: String, key: String, value: String, named: String) throws {
    let damaged = try DamagedModel()
    try damaged.set(
      key, try JSONSerialization.jsonObject(with: Data(value.utf8), options: .fragmentsAllowed),
      in: file)
    #expect(damaged.complaint().contains(named))
  }

  @Test("a weights file that is cut short is refused with its path")
  func truncatedWeights() throws {
    let damaged = try DamagedModel()
    let file = "unet/diffusion_pytorch_model.safetensors"
    let bytes = try Data(contentsOf: TinyWorld.folder.appending(path: file)).prefix(1 << 20)
    try damaged.remove(file)
    try bytes.write(to: damaged.folder.appending(path: file))
    #expect(damaged.complaint().contains(file))
  }

  @Test("weights under a variant's name are found")
  func variants() throws {
    let damaged = try DamagedModel()
    for file in ["unet/diffusion_pytorch_model", "text_encoder/model"] {
      let url = damaged.folder.appending(path: file)
      try FileManager.default.moveItem(
        at: url.appendingPathExtension("safetensors"),
        to: url.appendingPathExtension("fp16.safetensors"))
    }
    #expect(damaged.complaint() == "(it loads)")
  }
}

@Suite struct ModelIdentityTests {
  @Test("a copy is the same model; another option, vocabulary or number makes another one")
  func identity() throws {
    let original = try TinyWorld.model.get().identity
    func identity(_ change: (DamagedModel) throws -> Void) throws -> String {
      let copy = try DamagedModel()
      try change(copy)
      return try StableDiffusionModel(at: copy.folder).identity
    }
    #expect(try identity { _ in } == original)
    #expect(
      try identity { try $0.set("steps_offset", 0, in: "scheduler/scheduler_config.json") }
        != original)
    #expect(
      try identity { try $0.set("model_max_length", 20, in: "tokenizer/tokenizer_config.json") }
        != original)
    // The first and the last number of a tensor, of many and of few.
    for name in ["conv_out.bias", "mid_block.resnets.0.conv1.weight"] {
      for place in [0, -1] {
        #expect(
          try identity { copy in
            try copy.rewrite("unet/diffusion_pytorch_model.safetensors") { tensors in
              var changed = tensors
              let count = try #require(tensors.entries[name]).bytes.count
              changed.entries[name]?.bytes[place < 0 ? count + place : place] ^= 1
              return changed
            }
          } != original, "\(name) at \(place)")
      }
    }
  }

  @Test("a stamp sees through links, and tells folders apart that only links make different")
  func stamps() throws {
    let (one, two) = (try DamagedModel(), try DamagedModel())
    let root = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: root, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: root) }
    let (model, unet) = (root.appending(path: "model"), root.appending(path: "unet"))
    try FileManager.default.createSymbolicLink(at: model, withDestinationURL: one.folder)
    let before = FileStamp.text(of: [model])
    #expect(
      before == FileStamp.text(of: [one.folder]) && before != FileStamp.text(of: [two.folder]))
    // A component that lies elsewhere.
    try FileManager.default.moveItem(at: one.folder.appending(path: "unet"), to: unet)
    try FileManager.default.createSymbolicLink(
      at: one.folder.appending(path: "unet"), withDestinationURL: unet)
    #expect(FileStamp.text(of: [model]) == before)
    try Data("{}".utf8).write(to: unet.appending(path: "config.json"))
    #expect(FileStamp.text(of: [model]) != before)
  }

  @Test("weights that were prepared are not those of a file that was replaced since")
  func replaced() throws {
    let copy = try DamagedModel()
    let path = "unet/diffusion_pytorch_model.safetensors"
    // An element that no sample reaches.
    func change() throws {
      try copy.rewrite(path) { tensors in
        var changed = tensors
        changed.entries["mid_block.resnets.0.conv1.weight"]?.bytes[8193] ^= 1
        return changed
      }
    }
    let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
    defer { try? FileManager.default.removeItem(at: folder) }
    let cache = PreparedModelCache(folder: folder.path(percentEncoded: false)) { _ in }
    func opened() throws -> (identity: String, isPrepared: Bool) {
      let (model, isPrepared) = try cache.model(
        DiffusersFolder(copy.folder), precision: .full)
      return (model.identity, isPrepared)
    }
    // In the order in which it will be written again.
    try copy.rewrite(path) { $0 }
    let first = try opened()
    #expect(first.isPrepared)
    #expect(try !opened().isPrepared)
    try change()
    let second = try opened()
    #expect(second.isPrepared)
    #expect(second.identity == first.identity)
  }
}

import Foundation
import StableDiffusion
import Testing

@Suite struct RefusedModelsTests {
  @Test(
    "pickles in place of weights are refused with the reason and the command that helps",
    arguments: [
      ("unet/diffusion_pytorch_model", "bin"), ("vae/diffusion_pytorch_model", "bin"),
      ("text_encoder/model", "bin"), ("unet/diffusion_pytorch_model", "ckpt"),
    ])
  func pickledComponent(file: String, ending: String) throws {
    let model = try DamagedModel()
    try model.remove(file + ".safetensors")
    let pickle = file.replacing("text_encoder/model", with: "text_encoder/pytorch_model")
    try model.write("\u{80}\u{2}", to: "\(pickle).\(ending)")
    let complaint = model.complaint()
    #expect(complaint.contains((pickle as NSString).lastPathComponent + "." + ending))
    #expect(complaint.contains("pickle") && complaint.contains("can run any program"))
    #expect(complaint.contains("save_pretrained") && complaint.contains(model.folder.path))
  }

  @Test("weights beside a pickle are taken")
  func besideAPickle() throws {
    let model = try DamagedModel()
    try model.write("\u{80}\u{2}", to: "unet/diffusion_pytorch_model.bin")
    #expect(model.complaint() == "(it loads)")
  }

  @Test(
    "folders of other kinds of models are refused by name",
    arguments: [
      ("StableDiffusionXLPipeline", "Stable Diffusion XL"),
      ("StableDiffusion3Pipeline", "Stable Diffusion 3"), ("FluxPipeline", "Flux"),
      ("KandinskyV22Pipeline", "Kandinsky"),
    ])
  func otherPipelines(pipeline: String, name: String) throws {
    let model = try DamagedModel()
    try model.set("_class_name", pipeline, in: "model_index.json")
    #expect(model.complaint().contains(name))
    #expect(model.complaint().contains(pipeline))
  }

  @Test(
    "a component alone is refused by name",
    arguments: [
      (#"{"_class_name": "ControlNetModel"}"#, "ControlNet"),
      (#"{"_class_name": "UNet2DConditionModel"}"#, "UNet"),
      (#"{"_class_name": "AutoencoderKL"}"#, "autoencoder"),
      (#"{"architectures": ["CLIPTextModel"]}"#, "text encoder"),
    ])
  func componentAlone(json: String, name: String) throws {
    let model = try DamagedModel()
    for part in ["unet", "vae", "text_encoder", "tokenizer", "scheduler", "model_index.json"] {
      try model.remove(part)
    }
    try model.write(json, to: "config.json")
    #expect(model.complaint().contains(name))
  }

  @Test(
    "UNets that take more than latents are refused by name",
    arguments: [(9, "inpainting"), (5, "depth"), (7, "upscaler"), (6, "6 channels")])
  func widerUNets(channels: Int, name: String) throws {
    let model = try DamagedModel()
    try model.rewrite("unet/diffusion_pytorch_model.safetensors") { tensors in
      var tensors = tensors
      tensors.entries["conv_in.weight"] = .init(
        type: "F16", shape: [64, channels, 3, 3], bytes: Data(count: 64 * channels * 9 * 2))
      return tensors
    }
    try model.set("in_channels", channels, in: "unet/config.json")
    #expect(model.complaint().contains(name))
  }

  @Test("large weights of a type that is not supported are refused when they are prepared, too")
  func quantized() throws {
    let model = try DamagedModel()
    try model.rewrite("unet/diffusion_pytorch_model.safetensors") { tensors in
      var tensors = tensors
      let name = "mid_block.resnets.0.conv1.weight"
      let shape = tensors.entries[name]?.shape ?? []
      tensors.entries[name] = .init(
        type: "F8_E4M3", shape: shape, bytes: Data(count: shape.reduce(1, *)))
      return tensors
    }
    let sentence = "'mid_block.resnets.0.conv1.weight' is stored as F8_E4M3"
    #expect(model.complaint().contains(sentence))
    let found = ModelInspection(at: model.folder)
    #expect(!found.isUsable)
  }

  @Test("sizes beyond all models are refused, and no arithmetic fails")
  func sizes() throws {
    let model = try DamagedModel()
    let levels = 70
    try model.set("block_out_channels", Array(repeating: 16, count: levels), in: "vae/config.json")
    for (key, block) in [("down", "DownEncoderBlock2D"), ("up", "UpDecoderBlock2D")] {
      try model.set(
        "\(key)_block_types", Array(repeating: block, count: levels), in: "vae/config.json")
    }
    #expect(
      model.complaint().contains("'block_out_channels' has 70 levels"), "\(model.complaint())")
    let narrow = try DamagedModel()
    try narrow.set("model_max_length", 1, in: "tokenizer/tokenizer_config.json")
    #expect(narrow.complaint().contains("no room for a prompt"), "\(narrow.complaint())")
  }

  @Test("a text encoder of another kind is refused by name")
  func otherTextEncoder() throws {
    let model = try DamagedModel()
    try model.set("model_type", "t5", in: "text_encoder/config.json")
    #expect(model.complaint().contains("'model_type' is t5"))
  }

  @Test("a folder that only holds a whole model's file says so")
  func fileInAFolder() throws {
    let model = try DamagedModel()
    for part in ["unet", "vae", "text_encoder", "tokenizer", "scheduler"] { try model.remove(part) }
    try model.write("", to: "dream.safetensors")
    #expect(model.complaint().contains("dream.safetensors"))
  }
}

import Foundation
import Testing

@testable import StableDiffusion

/// The small model as a checkpoint in the original latent-diffusion layout, renamed here by rules of
/// its own; and the folder that computes the same.
struct OriginalLayout {
  enum Version { case first, second }

  /// In diffusers' layout, with the sizes that a checkpoint's tensors do not tell set to those of its
  /// family.
  let folder: DamagedModel
  private(set) var tensors = StoredTensors()
  private let version: Version

  init(_ version: Version) throws {
    self.version = version
    folder = try DamagedModel()
    // Heads of 32 channels in place of 2.x's 64, of which the small model has not enough.
    try folder.set(
      "attention_head_dim", version == .first ? [8, 8, 8, 8] : [2, 3, 4, 4], in: "unet/config.json")
    try folder.set("norm_num_groups", 32, in: "unet/config.json")
    try folder.set("norm_num_groups", 16, in: "vae/config.json")
    try folder.set("scaling_factor", 0.18215, in: "vae/config.json")
    try folder.set("num_attention_heads", 2, in: "text_encoder/config.json")
    if version == .second {
      try folder.set("hidden_act", "gelu", in: "text_encoder/config.json")
      try folder.set("pad_token", "!", in: "tokenizer/tokenizer_config.json")
    }
    try addUNet()
    try addAutoencoder()
    try addTextEncoder()
  }

  /// The architecture whose heads are as small as the small model's.
  var architecture: OriginalArchitecture {
    guard version == .second else { return .version1 }
    var architecture = OriginalArchitecture.version2
    architecture.heads = .channels(32)
    return architecture
  }

  /// - Parameter change: of the tensors before they are written.
  func written(
    as name: String = "model.safetensors", metadata: [String: String] = [:],
    _ change: (inout StoredTensors) -> Void = { _ in }
  ) throws -> URL {
    let url = folder.folder.appending(path: name)
    var tensors = tensors
    change(&tensors)
    try tensors.write(to: url, metadata: metadata)
    return url
  }

  /// Opened with the small model's tokenizer in place of CLIP's own.
  func source(_ url: URL) throws -> SingleFileCheckpoint {
    let vocabulary = folder.folder.appending(path: "tokenizer")
    return try SingleFileCheckpoint(url, architecture: architecture) { padding, longest in
      let tokenizer = try CLIPTokenizer(folder: vocabulary, longest: longest)
      #expect(
        tokenizer.encode("").last
          == (padding == .exclamationMark ? 0 : tokenizer.vocabularySize - 1))
      return tokenizer
    }
  }

  private mutating func addUNet() throws {
    let resnet = [
      "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1",
      "norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
    ]
    let whole = [
      "conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0",
      "time_embedding.linear_2": "time_embed.2", "conv_norm_out": "out.0", "conv_out": "out.2",
    ]
    func original(_ name: String) -> String {
      for (new, old) in whole where name.hasPrefix(new + ".") {
        return old + name.dropFirst(new.count)
      }
      let parts = name.split(separator: ".").map(String.init)
      let numbers = parts.compactMap(Int.init)
      // What follows the module's number.
      func rest(_ from: Int) -> String { parts[from...].joined(separator: ".") }
      func inResNet(_ from: Int) -> String { "\(resnet[parts[from]]!).\(rest(from + 1))" }
      switch (parts[0], parts[1], parts[2]) {
      case ("mid_block", "resnets", let index):
        return "middle_block.\(index == "0" ? 0 : 2).\(inResNet(3))"
      case ("mid_block", "attentions", _): return "middle_block.1.\(rest(3))"
      case ("down_blocks", _, "resnets"):
        return "input_blocks.\(3 * numbers[0] + numbers[1] + 1).0.\(inResNet(4))"
      case ("down_blocks", _, "attentions"):
        return "input_blocks.\(3 * numbers[0] + numbers[1] + 1).1.\(rest(4))"
      case ("down_blocks", _, "downsamplers"):
        return "input_blocks.\(3 * numbers[0] + 3).0.op.\(rest(5))"
      case ("up_blocks", _, "resnets"):
        return "output_blocks.\(3 * numbers[0] + numbers[1]).0.\(inResNet(4))"
      case ("up_blocks", _, "attentions"):
        return "output_blocks.\(3 * numbers[0] + numbers[1]).1.\(rest(4))"
      default:  // up_blocks, upsamplers; the deepest level has no attention before it
        return
          "output_blocks.\(3 * numbers[0] + 2).\(numbers[0] == 0 ? 1 : 2).conv.\(rest(5))"
      }
    }
    let file = "unet/diffusion_pytorch_model.safetensors"
    var unet = try folder.tensors(file)
    if version == .second {
      for name in unet.entries.keys
      where name.hasSuffix(".proj_in.weight") || name.hasSuffix(".proj_out.weight") {
        unet.entries[name]?.shape.removeLast(2)
      }
      let linear = unet
      try folder.rewrite(file) { _ in linear }
      try folder.set("use_linear_projection", true, in: "unet/config.json")
    }
    tensors = tensors.merging(unet.renamed { "model.diffusion_model." + original($0) })
  }

  private mutating func addAutoencoder() throws {
    var autoencoder = try folder.tensors("vae/diffusion_pytorch_model.safetensors")
    for name in autoencoder.entries.keys
    where name.contains("attentions.0.to_") && name.hasSuffix(".weight") {
      autoencoder.entries[name]?.shape += [1, 1]
    }
    tensors = tensors.merging(
      autoencoder.renamed { name in
        var name = name
        for level in 0..<4 {
          name = name.replacing("decoder.up_blocks.\(level).", with: "decoder.up.\(3 - level).")
        }
        for (new, old) in [
          ("encoder.down_blocks.", "encoder.down."), (".downsamplers.0.", ".downsample."),
          (".upsamplers.0.", ".upsample."), ("mid_block.resnets.0.", "mid.block_1."),
          ("mid_block.resnets.1.", "mid.block_2."), ("mid_block.attentions.0.", "mid.attn_1."),
          (".resnets.", ".block."), ("conv_shortcut", "nin_shortcut"),
          ("conv_norm_out", "norm_out"), ("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"),
          ("to_v", "v"), ("to_out.0", "proj_out"),
        ] { name = name.replacing(new, with: old) }
        return "first_stage_model." + name
      })
  }

  private mutating func addTextEncoder() throws {
    var text = try folder.tensors("text_encoder/model.safetensors").renamed {
      $0.hasPrefix("text_model.") ? String($0.dropFirst("text_model.".count)) : $0
    }
    guard version == .second else {
      text.entries["embeddings.position_ids"] = .init(
        type: "I64", shape: [1, 32], bytes: Data(count: 32 * 8))
      tensors = tensors.merging(
        text.renamed { "cond_stage_model.transformer.text_model.\($0)" })
      return
    }
    for layer in 0..<3 {
      for kind in ["weight", "bias"] {
        try text.join(
          ["q", "k", "v"].map { "encoder.layers.\(layer).self_attn.\($0)_proj.\(kind)" },
          as: "encoder.layers.\(layer).attn.in_proj_\(kind)")
      }
    }
    // The last layer is there, but never used: nothing but noise.
    for (name, entry) in text.entries where name.hasPrefix("encoder.layers.2.") {
      var entry = entry
      entry.bytes = Data(entry.bytes.map { $0 & 0xbb })
      text.entries[name.replacing("layers.2.", with: "layers.3.")] = entry
    }
    tensors = tensors.merging(
      text.renamed { name in
        var name = name
        for (new, old) in [
          ("embeddings.token_embedding", "token_embedding"),
          ("embeddings.position_embedding.weight", "positional_embedding"),
          ("final_layer_norm", "ln_final"), ("encoder.layers.", "transformer.resblocks."),
          ("layer_norm", "ln_"), ("self_attn", "attn"), ("fc1", "c_fc"), ("fc2", "c_proj"),
        ] { name = name.replacing(new, with: old) }
        return "cond_stage_model.model." + name
      })
    for (name, shape) in [("logit_scale", []), ("text_projection", [128, 128])] {
      tensors.entries["cond_stage_model.model." + name] = .init(
        type: "F16", shape: shape, bytes: Data(count: 2 * shape.reduce(1, *)))
    }
  }
}

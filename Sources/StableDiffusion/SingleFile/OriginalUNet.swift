import Tensor

/// The UNet of a checkpoint in the original latent-diffusion layout: its sizes, as the tensors' shapes
/// tell them, and what its modules are called there.
struct OriginalUNet {
  static let prefix = "model.diffusion_model."

  private(set) var names = ModuleNames()
  /// Per level: the channels, and for each ResNet the transformer blocks of the attention behind it,
  /// 0 for none.
  private(set) var levels: [(channels: Int, depths: [Int])] = []
  let inputChannels, outputChannels, contextWidth: Int
  let linearProjection: Bool

  /// - Parameter shape: of the tensor that has a name behind the prefix.
  init(place: String, shape: (String) -> [Int]?) throws {
    func side(_ tensor: String, _ index: Int) throws -> Int {
      guard let sides = shape(tensor) else {
        throw ModelError("\(place) has no tensor '\(Self.prefix)\(tensor)'")
      }
      guard sides.indices.contains(index) else {
        throw ModelError("\(place): tensor '\(Self.prefix)\(tensor)' has the shape \(sides)")
      }
      return sides[index]
    }
    func depth(_ attention: String) -> Int {
      var count = 0
      while shape("\(attention).transformer_blocks.\(count).norm1.weight") != nil { count += 1 }
      return count
    }
    inputChannels = try side("input_blocks.0.0.weight", 1)
    outputChannels = try side("out.2.weight", 0)
    contextWidth = try side("middle_block.1.transformer_blocks.0.attn2.to_k.weight", 1)
    linearProjection = shape("middle_block.1.proj_in.weight")?.count == 2
    names["conv_in"] = "input_blocks.0.0"
    names["time_embedding.linear_1"] = "time_embed.0"
    names["time_embedding.linear_2"] = "time_embed.2"
    names["conv_norm_out"] = "out.0"
    names["conv_out"] = "out.2"

    var level: (channels: Int, depths: [Int]) = (0, [])
    var block = 1
    while true {
      let original = "input_blocks.\(block)"
      let path = "down_blocks.\(levels.count)"
      if shape("\(original).0.op.weight") != nil {
        names["\(path).downsamplers.0.conv"] = "\(original).0.op"
        levels.append(level)
        level = (0, [])
      } else if let sides = shape("\(original).0.out_layers.3.weight"), let channels = sides.first {
        name(resnet: "\(path).resnets.\(level.depths.count)", "\(original).0")
        let depth = depth("\(original).1")
        if depth > 0 { names["\(path).attentions.\(level.depths.count)"] = "\(original).1" }
        level = (channels, level.depths + [depth])
      } else {
        break
      }
      block += 1
    }
    levels.append(level)
    guard levels.allSatisfy({ !$0.depths.isEmpty && Set($0.depths).count == 1 }) else {
      throw ModelError(
        "\(place): the blocks of its UNet are not those of Stable Diffusion 1.x or 2.x")
    }
    name(resnet: "mid_block.resnets.0", "middle_block.0")
    names["mid_block.attentions.0"] = "middle_block.1"
    name(resnet: "mid_block.resnets.1", "middle_block.2")

    block = 0
    for (index, level) in levels.reversed().enumerated() {
      for layer in 0...level.depths.count {
        let (path, original) = ("up_blocks.\(index)", "output_blocks.\(block)")
        name(resnet: "\(path).resnets.\(layer)", "\(original).0")
        let attends = level.depths[0] > 0
        if attends { names["\(path).attentions.\(layer)"] = "\(original).1" }
        if layer == level.depths.count, index < levels.count - 1 {
          names["\(path).upsamplers.0.conv"] = "\(original).\(attends ? 2 : 1).conv"
        }
        block += 1
      }
    }
  }

  private mutating func name(resnet path: String, _ original: String) {
    for (module, other) in [
      ("norm1", "in_layers.0"), ("conv1", "in_layers.2"), ("time_emb_proj", "emb_layers.1"),
      ("norm2", "out_layers.0"), ("conv2", "out_layers.3"), ("conv_shortcut", "skip_connection"),
    ] { names["\(path).\(module)"] = "\(original).\(other)" }
  }

  /// - Parameter sampleSize: the side of the latents that the model was made for.
  func configuration(_ architecture: OriginalArchitecture, sampleSize: Int, place: String) throws
    -> ComponentConfiguration
  {
    ComponentConfiguration(
      [
        "in_channels": .whole(inputChannels), "out_channels": .whole(outputChannels),
        "sample_size": .whole(sampleSize),
        "block_out_channels": .sizes(levels.map(\.channels)),
        "down_block_types": .texts(
          levels.map { $0.depths[0] > 0 ? "CrossAttnDownBlock2D" : "DownBlock2D" }),
        "up_block_types": .texts(
          levels.reversed().map { $0.depths[0] > 0 ? "CrossAttnUpBlock2D" : "UpBlock2D" }),
        "layers_per_block": .sizes(levels.map(\.depths.count)),
        "transformer_layers_per_block": .sizes(levels.map { max(1, $0.depths[0]) }),
        "attention_head_dim": .sizes(
          try levels.map { try architecture.unetHeads(of: $0.channels, place: place) }),
        "cross_attention_dim": .whole(contextWidth),
        "use_linear_projection": .flag(linearProjection),
      ], place: place)
  }
}

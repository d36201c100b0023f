import Tensor

/// The autoencoder of a checkpoint in the original latent-diffusion layout: its sizes, as the tensors'
/// shapes tell them, and what its modules are called there.
struct OriginalAutoencoder {
  static let prefix = "first_stage_model."

  private(set) var names = ModuleNames()
  private var channels: [Int] = []
  private var layers = 0
  private let latentChannels: Int
  private let quantises, dequantises: Bool

  /// - Parameter shape: of the tensor that has a name behind the prefix.
  init(place: String, shape: (String) -> [Int]?) throws {
    while let sides = shape("encoder.down.\(channels.count).block.0.conv1.weight"),
      let side = sides.first
    { channels.append(side) }
    while shape("encoder.down.0.block.\(layers).conv1.weight") != nil { layers += 1 }
    guard !channels.isEmpty, let sides = shape("decoder.conv_in.weight"), sides.count == 4 else {
      throw ModelError("\(place) has no tensor '\(Self.prefix)decoder.conv_in.weight'")
    }
    latentChannels = sides[1]
    quantises = shape("quant_conv.weight") != nil
    dequantises = shape("post_quant_conv.weight") != nil

    for half in ["encoder", "decoder"] {
      names["\(half).conv_norm_out"] = "\(half).norm_out"
      for index in 0..<2 {
        name(resnet: "\(half).mid_block.resnets.\(index)", "\(half).mid.block_\(index + 1)")
      }
      for (module, other) in [
        ("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v"),
        ("to_out.0", "proj_out"),
      ] { names["\(half).mid_block.attentions.0.\(module)"] = "\(half).mid.attn_1.\(other)" }
    }
    for level in channels.indices {
      let down = "encoder.down_blocks.\(level)"
      for layer in 0..<layers {
        name(resnet: "\(down).resnets.\(layer)", "encoder.down.\(level).block.\(layer)")
      }
      names["\(down).downsamplers.0.conv"] = "encoder.down.\(level).downsample.conv"
      // The original counts levels from the picture, also on the way back to it.
      let (up, original) = (
        "decoder.up_blocks.\(level)", "decoder.up.\(channels.count - 1 - level)"
      )
      for layer in 0...layers {
        name(resnet: "\(up).resnets.\(layer)", "\(original).block.\(layer)")
      }
      names["\(up).upsamplers.0.conv"] = "\(original).upsample.conv"
    }
  }

  private mutating func name(resnet path: String, _ original: String) {
    names[path] = original
    names["\(path).conv_shortcut"] = "\(original).nin_shortcut"
  }

  func configuration(place: String) -> ComponentConfiguration {
    // 32 in every Stable Diffusion; smaller models may have too few channels for that.
    let groups = channels.reduce(32, greatestCommonDivisor)
    return ComponentConfiguration(
      [
        "block_out_channels": .sizes(channels), "layers_per_block": .whole(layers),
        "latent_channels": .whole(latentChannels), "norm_num_groups": .whole(groups),
        "down_block_types": .texts(channels.map { _ in "DownEncoderBlock2D" }),
        "up_block_types": .texts(channels.map { _ in "UpDecoderBlock2D" }),
        "scaling_factor": .real(0.18215), "use_quant_conv": .flag(quantises),
        "use_post_quant_conv": .flag(dequantises),
      ], place: place)
  }
}

private func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
  b == 0 ? a : greatestCommonDivisor(b, a % b)
}

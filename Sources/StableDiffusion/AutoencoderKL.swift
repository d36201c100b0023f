import Tensor

/// The variational autoencoder between pictures and latents (diffusers' AutoencoderKL).
public final class AutoencoderKL: Sendable {
  public let latentChannels: Int
  /// What the mean is multiplied by to become the diffusion model's latent.
  public let scalingFactor: Double
  /// Pixels of a picture to a side of one latent pixel.
  public let scale: Int
  /// The channels of its widest level in pixels.
  let firstChannels: Int

  private let encoder: Encoder
  private let decoder: Decoder
  private let quantise, dequantise: Linear?

  init(_ component: ModelComponent, precision: Precision, store: (any PreparedWeightsStore)?) throws
  {
    let file = component.configuration
    try file.require("_class_name", oneOf: "AutoencoderKL")
    try file.require("act_fn", oneOf: "silu", "swish")
    for key in ["in_channels", "out_channels"] { try file.require(key, oneOf: "3") }
    for key in ["shift_factor", "latents_mean", "latents_std"] {
      try file.require(key, oneOf: "null")
    }
    let channels = try file.sizes("block_out_channels")
    let (down, up) = (try file.texts("down_block_types"), try file.texts("up_block_types"))
    guard down == Array(repeating: "DownEncoderBlock2D", count: channels.count) else {
      throw file.wrong(
        "down_block_types",
        "is \(down), which is not supported; supported is one DownEncoderBlock2D per level")
    }
    guard up == Array(repeating: "UpDecoderBlock2D", count: channels.count) else {
      throw file.wrong(
        "up_block_types",
        "is \(up), which is not supported; supported is one UpDecoderBlock2D per level")
    }
    guard (1...8).contains(channels.count) else {
      throw file.wrong("block_out_channels", "has \(channels.count) levels; supported are 1 to 8")
    }
    latentChannels = try Self.latentChannels(file)
    scalingFactor = try file.number("scaling_factor", default: 0.18215)
    guard scalingFactor > 0 else { throw file.wrong("scaling_factor", "takes a positive number") }
    scale = 1 << (channels.count - 1)
    firstChannels = channels[0]
    let shape = AutoencoderShape(
      channels: channels, layers: try file.size("layers_per_block", default: 1),
      groups: try file.size("norm_num_groups", default: 32),
      latentChannels: latentChannels,
      attends: try file.flag("mid_block_add_attention", default: true))
    let weights = Weights(component.weights, precision: precision, store: store)
    encoder = try Encoder(weights["encoder"], shape)
    decoder = try Decoder(weights["decoder"], shape)
    quantise =
      try file.flag("use_quant_conv", default: true)
      ? weights.pointwise("quant_conv", 2 * latentChannels, 2 * latentChannels) : nil
    dequantise =
      try file.flag("use_post_quant_conv", default: true)
      ? weights.pointwise("post_quant_conv", latentChannels, latentChannels) : nil
  }

  static func latentChannels(_ configuration: ComponentConfiguration) throws -> Int {
    try configuration.size("latent_channels", default: 4)
  }

  /// The mean of the latent distribution, not yet scaled.
  ///
  /// - Parameter images: (n, height, width, 3) in [-1, 1]; height and width are multiples of
  ///   `scale`.
  /// - Returns: (n, height / scale, width / scale, latent channels).
  public func encode(_ images: Tensor) -> Tensor {
    inPortions(images, pixels: images.shape[1] * images.shape[2]) { [self] portion in
      let moments = encoder(portion)
      return (quantise?(moments) ?? moments).channels(0..<latentChannels)
    }
  }

  /// Pictures from latents that are not scaled; the inverse of `encode`. Values may lie a little
  /// outside [-1, 1].
  public func decode(_ latents: Tensor) -> Tensor {
    inPortions(latents, pixels: latents.shape[1] * latents.shape[2] * scale * scale) { [self] in
      decoder(dequantise?($0) ?? $0)
    }
  }

  /// How many images go through at a time: a picture's features are up to a hundred times as large
  /// as the picture. Depends on nothing but their size.
  public static func portions(of images: Int, pixels: Int) -> [Range<Int>] {
    let size = max(1, (512 * 512) / max(pixels, 1))
    return stride(from: 0, to: images, by: size).map { $0..<min(images, $0 + size) }
  }

  private func inPortions(_ input: Tensor, pixels: Int, _ body: (Tensor) -> Tensor) -> Tensor {
    Tensor.concatenated(
      Self.portions(of: input.shape[0], pixels: pixels).map { body(input.rows($0)) })
  }
}

struct AutoencoderShape {
  let channels: [Int]
  let layers, groups, latentChannels: Int
  let attends: Bool
  let epsilon = 1e-6
}

private struct Encoder {
  let convIn, convOut: Convolution
  let levels: [(resnets: [ResNetBlock], downsample: Convolution?)]
  let middle: AutoencoderMiddle
  let normOut: GroupNorm

  init(_ weights: Weights, _ shape: AutoencoderShape) throws {
    let channels = shape.channels
    let last = channels.count - 1
    convIn = try weights.convolution("conv_in", 3, channels[0])
    levels = try channels.indices.map { level in
      let path = weights["down_blocks.\(level)"]
      let resnets = try (0..<shape.layers).map { layer in
        try ResNetBlock(
          path["resnets.\(layer)"], layer == 0 ? channels[max(0, level - 1)] : channels[level],
          channels[level], groups: shape.groups,
          epsilon: shape.epsilon)
      }
      // Padded at the right and the bottom only.
      let downsample =
        level == last
        ? nil
        : try path.convolution(
          "downsamplers.0.conv", channels[level], channels[level], stride: 2,
          padding: .init(top: 0, left: 0, bottom: 1, right: 1))
      return (resnets, downsample)
    }
    middle = try AutoencoderMiddle(weights["mid_block"], shape)
    normOut = try weights.groupNorm(
      "conv_norm_out", channels[last], groups: shape.groups, epsilon: shape.epsilon)
    convOut = try weights.convolution("conv_out", channels[last], 2 * shape.latentChannels)
  }

  func callAsFunction(_ images: Tensor) -> Tensor {
    var hidden = convIn(images)
    for level in levels {
      for resnet in level.resnets { hidden = resnet(hidden) }
      if let downsample = level.downsample { hidden = downsample(hidden) }
    }
    return convOut(normOut(middle(hidden), activation: .silu))
  }
}

private struct Decoder {
  let convIn, convOut: Convolution
  let middle: AutoencoderMiddle
  let levels: [(resnets: [ResNetBlock], upsample: Convolution?)]
  let normOut: GroupNorm

  init(_ weights: Weights, _ shape: AutoencoderShape) throws {
    let channels = shape.channels
    let last = channels.count - 1
    convIn = try weights.convolution("conv_in", shape.latentChannels, channels[last])
    middle = try AutoencoderMiddle(weights["mid_block"], shape)
    levels = try channels.indices.map { index in
      let path = weights["up_blocks.\(index)"]
      let level = last - index
      let resnets = try (0...shape.layers).map { layer in
        try ResNetBlock(
          path["resnets.\(layer)"], layer == 0 ? channels[min(last, level + 1)] : channels[level],
          channels[level], groups: shape.groups,
          epsilon: shape.epsilon)
      }
      return (
        resnets,
        index == last
          ? nil : try path.convolution("upsamplers.0.conv", channels[level], channels[level])
      )
    }
    normOut = try weights.groupNorm(
      "conv_norm_out", channels[0], groups: shape.groups, epsilon: shape.epsilon)
    convOut = try weights.convolution("conv_out", channels[0], 3)
  }

  func callAsFunction(_ latents: Tensor) -> Tensor {
    var hidden = middle(convIn(latents))
    for level in levels {
      for resnet in level.resnets { hidden = resnet(hidden) }
      if let upsample = level.upsample {
        hidden = upsample(
          hidden.upsampledNearest(height: 2 * hidden.shape[1], width: 2 * hidden.shape[2]))
      }
    }
    return convOut(normOut(hidden, activation: .silu))
  }
}

/// ResNet, single-headed self-attention over the pixels, ResNet.
private struct AutoencoderMiddle {
  let first, second: ResNetBlock
  let attention: Attention?

  struct Attention {
    let norm: GroupNorm
    let queries, keys, values, output: Linear
    let precision: Precision
  }

  init(_ weights: Weights, _ shape: AutoencoderShape) throws {
    let channels = shape.channels[shape.channels.count - 1]
    func resnet(_ index: Int) throws -> ResNetBlock {
      try ResNetBlock(
        weights["resnets.\(index)"], channels, channels, groups: shape.groups,
        epsilon: shape.epsilon)
    }
    (first, second) = (try resnet(0), try resnet(1))
    guard shape.attends else {
      attention = nil
      return
    }
    let path = weights["attentions.0"]
    func linear(_ name: String) throws -> Linear { try path.linear(name, channels, channels) }
    attention = Attention(
      norm: try path.groupNorm(
        "group_norm", channels, groups: shape.groups, epsilon: shape.epsilon),
      queries: try linear("to_q"), keys: try linear("to_k"), values: try linear("to_v"),
      output: try linear("to_out.0"), precision: weights.precision)
  }

  func callAsFunction(_ input: Tensor) -> Tensor {
    var hidden = first(input)
    if let layer = attention {
      let tokens = layer.norm(hidden).reshaped([
        hidden.shape[0], hidden.shape[1] * hidden.shape[2], hidden.shape[3],
      ])
      let attended = Tensor.attention(
        queries: layer.queries(tokens), keys: layer.keys(tokens), values: layer.values(tokens),
        heads: 1, precision: layer.precision)
      hidden = layer.output(attended, addedTo: hidden)
    }
    return second(hidden)
  }
}

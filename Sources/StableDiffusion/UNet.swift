import Foundation
import Tensor

/// The denoiser: diffusers' UNet2DConditionModel as Stable Diffusion 1.x and 2.x use it, for any
/// number of levels, channels and heads.
public final class UNet: Sendable {
  public var inputChannels: Int { configuration.inputChannels }
  public var outputChannels: Int { configuration.outputChannels }
  /// Whether a stage has attention to the text.
  public func attends(_ stage: LayerSite.Stage) -> Bool {
    switch stage {
    case .down(let level): down.indices.contains(level) && !down[level].attentions.isEmpty
    case .middle: true
    case .up(let index): up.indices.contains(index) && !up[index].attentions.isEmpty
    case .output: false
    }
  }
  /// The transformer block whose self-attention comes last of all; `nil` where the path up has none.
  public var lastSelfAttention: LayerSite? {
    up.last { !$0.attentions.isEmpty }?.attentions.last?.blocks.last?.site
  }
  /// The channels of its levels, from the widest in pixels.
  public var channels: [Int] { configuration.channels }
  /// The self-attention of each level, from the widest in pixels: how many layers there are, and how
  /// many heads they have.
  public var selfAttention: [(layers: Int, heads: Int)] {
    channels.indices.map { level in
      let stages = [down[level], up[channels.count - 1 - level]]
      let transformers = (stages + (level == channels.count - 1 ? [middle] : [])).reduce(0) {
        $0 + $1.attentions.count
      }
      return (transformers * configuration.depths[level], configuration.heads[level])
    }
  }
  /// The channels of its widest level in pixels.
  public var firstChannels: Int { configuration.channels[0] }
  public var contextWidth: Int { configuration.contextWidth }
  /// The side of the square latents that the model was made for.
  public var sampleSize: Int { configuration.sampleSize }

  private let configuration: UNetConfiguration
  private let timeUp, timeDown: Linear
  private let convIn, convOut: Convolution
  private let normOut: GroupNorm
  private let down: [Stage]
  private let middle: Stage
  private let up: [Stage]

  /// One block of the path down, of the middle or of the path up.
  private struct Stage {
    var resnets: [(block: ResNetBlock, site: LayerSite)] = []
    var attentions: [SpatialTransformer] = []
    /// A strided convolution downwards, a convolution after upsampling upwards.
    var resampling: Convolution?
  }

  init(_ component: ModelComponent, precision: Precision, store: (any PreparedWeightsStore)?) throws
  {
    let configuration = try UNetConfiguration(component.configuration)
    let weights = Weights(component.weights, precision: precision, store: store)
    self.configuration = configuration
    let channels = configuration.channels
    let timeChannels = 4 * channels[0]
    timeUp = try weights.linear("time_embedding.linear_1", channels[0], timeChannels)
    timeDown = try weights.linear("time_embedding.linear_2", timeChannels, timeChannels)
    convIn = try weights.convolution("conv_in", configuration.inputChannels, channels[0])

    func add(
      resnet inputs: Int, _ outputs: Int, to stage: inout Stage, _ kind: LayerSite.Stage,
      _ path: String
    ) throws {
      let name = "resnets.\(stage.resnets.count)"
      let block = try ResNetBlock(
        weights["\(path).\(name)"], inputs, outputs, groups: configuration.groups,
        epsilon: configuration.epsilon, timeChannels: timeChannels)
      stage.resnets.append(
        (block, LayerSite(stage: kind, module: stage.resnets.count, path: "\(path).\(name)")))
    }
    func add(attentionAt level: Int, to stage: inout Stage, _ kind: LayerSite.Stage, _ path: String)
      throws
    {
      let name = "attentions.\(stage.attentions.count)"
      stage.attentions.append(
        try SpatialTransformer(
          weights["\(path).\(name)"], channels: channels[level], depth: configuration.depths[level],
          heads: configuration.heads[level],
          configuration, stage: kind, module: stage.attentions.count, path: "\(path).\(name)"))
    }

    let last = channels.count - 1
    down = try channels.indices.map { level in
      var stage = Stage()
      let path = "down_blocks.\(level)"
      for layer in 0..<configuration.layers[level] {
        try add(
          resnet: layer == 0 ? channels[max(0, level - 1)] : channels[level], channels[level],
          to: &stage, .down(level), path)
        if configuration.attendsDown[level] {
          try add(attentionAt: level, to: &stage, .down(level), path)
        }
      }
      if level < last {
        stage.resampling = try weights.convolution(
          "\(path).downsamplers.0.conv", channels[level], channels[level], stride: 2)
      }
      return stage
    }
    var middle = Stage()
    try add(resnet: channels[last], channels[last], to: &middle, .middle, "mid_block")
    try add(attentionAt: last, to: &middle, .middle, "mid_block")
    try add(resnet: channels[last], channels[last], to: &middle, .middle, "mid_block")
    self.middle = middle
    up = try channels.indices.map { index in
      var stage = Stage()
      let level = last - index
      let path = "up_blocks.\(index)"
      for layer in 0...configuration.layers[level] {
        let below = layer == 0 ? channels[min(last, level + 1)] : channels[level]
        let skip =
          layer == configuration.layers[level] ? channels[max(0, level - 1)] : channels[level]
        try add(resnet: below + skip, channels[level], to: &stage, .up(index), path)
        if configuration.attendsUp[index] {
          try add(attentionAt: level, to: &stage, .up(index), path)
        }
      }
      if index < last {
        stage.resampling = try weights.convolution(
          "\(path).upsamplers.0.conv", channels[level], channels[level])
      }
      return stage
    }
    normOut = try weights.groupNorm(
      "conv_norm_out", channels[0], groups: configuration.groups, epsilon: configuration.epsilon)
    convOut = try weights.convolution("conv_out", channels[0], configuration.outputChannels)
  }

  /// The model's output for noisy latents.
  ///
  /// - Parameters:
  ///   - latents: (batch, height, width, input channels); any height and width.
  ///   - timestep: of the model's training; a sampler may lie between two.
  ///   - context: (prompts, tokens, width); the number of prompts divides the batch, and each
  ///     serves as many consecutive rows.
  ///   - processor: what a method plugs in.
  /// - Returns: (batch, height, width, output channels).
  public func callAsFunction(
    _ latents: Tensor, timestep: Double, context: Tensor,
    processor: some UNetProcessor = PlainProcessor()
  ) throws -> Tensor {
    let time = timeDown(timeUp(timeEmbedding(timestep)).applying(.silu)).applying(.silu)
    var hidden = convIn(latents)
    var skips = [hidden]
    for stage in down {
      for (index, resnet) in stage.resnets.enumerated() {
        hidden = try resnet.block(hidden, time: time, processor: processor, at: resnet.site)
        if !stage.attentions.isEmpty {
          hidden = try stage.attentions[index](hidden, context: context, processor: processor)
        }
        skips.append(hidden)
      }
      if let downsample = stage.resampling {
        hidden = downsample(hidden)
        skips.append(hidden)
      }
    }
    hidden = try middle.resnets[0].block(
      hidden, time: time, processor: processor, at: middle.resnets[0].site)
    hidden = try middle.attentions[0](hidden, context: context, processor: processor)
    hidden = try middle.resnets[1].block(
      hidden, time: time, processor: processor, at: middle.resnets[1].site)
    for stage in up {
      for (index, resnet) in stage.resnets.enumerated() {
        let joined = try processor.skipConnection(hidden, skips.removeLast(), at: resnet.site)
        hidden = try resnet.block(
          Tensor.concatenatedChannels(joined.hiddenState, joined.skip), time: time,
          processor: processor, at: resnet.site)
        if !stage.attentions.isEmpty {
          hidden = try stage.attentions[index](hidden, context: context, processor: processor)
        }
      }
      if let convolution = stage.resampling, let size = skips.last?.shape {
        // To the size of the skip connection that comes next: twice this one's, or one less where
        // that was odd.
        hidden = convolution(hidden.upsampledNearest(height: size[1], width: size[2]))
      }
    }
    let site = LayerSite(stage: .output, module: 0, path: "conv_norm_out")
    return convOut(try processor.groupNorm(normOut, hidden, activation: .silu, at: site))
  }

  public func callAsFunction(
    _ latents: Tensor, timestep: Int, context: Tensor,
    processor: some UNetProcessor = PlainProcessor()
  ) throws -> Tensor {
    try self(latents, timestep: Double(timestep), context: context, processor: processor)
  }

  /// Sines and cosines of the time step at geometrically spaced frequencies, (1, channels).
  private func timeEmbedding(_ timestep: Double) -> Tensor {
    let half = configuration.channels[0] / 2
    let angles = (0..<half).map { index in
      timestep
        * exp(-log(10000) * Double(index) / (Double(half) - configuration.frequencyShift))
    }
    let (sines, cosines) = (angles.map { Float(sin($0)) }, angles.map { Float(cos($0)) })
    return Tensor(
      configuration.flipsSineToCosine ? cosines + sines : sines + cosines, shape: [1, 2 * half])
  }
}

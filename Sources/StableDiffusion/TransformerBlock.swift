import Tensor

/// Self-attention, cross-attention and a gated feed-forward, each behind a layer norm and with a
/// residual (diffusers' BasicTransformerBlock).
struct TransformerBlock {
  let site: LayerSite
  private let norm1, norm2: LayerNorm
  private let selfAttention, crossAttention: AttentionLayer
  private let feedForward: GatedFeedForward

  init(_ weights: Weights, channels: Int, contextWidth: Int, heads: Int, site: LayerSite) throws {
    self.site = site
    norm1 = try weights.layerNorm("norm1", channels)
    norm2 = try weights.layerNorm("norm2", channels)
    selfAttention = try AttentionLayer(
      weights["attn1"], channels: channels, contextChannels: channels, heads: heads)
    crossAttention = try AttentionLayer(
      weights["attn2"], channels: channels, contextChannels: contextWidth, heads: heads)
    feedForward = try GatedFeedForward(
      norm: weights.layerNorm("norm3", channels),
      up: weights.linear("ff.net.0.proj", channels, 8 * channels),
      down: weights.linear("ff.net.2", 4 * channels, channels))
  }

  /// - Parameter input: (batch, n, channels); the n tokens are the pixels of `grid`.
  func callAsFunction(
    _ input: Tensor, grid: FeatureGrid, context: Tensor, processor: some UNetProcessor
  ) throws -> Tensor {
    var hidden = input
    hidden.add(try processor.selfAttention(selfAttention, norm1(hidden), grid: grid, at: site))
    hidden.add(
      try processor.crossAttention(
        crossAttention, norm2(hidden), context: context, grid: grid, at: site))
    return try processor.afterFeedForward(feedForward(hidden), grid: grid, at: site)
  }
}

/// Transformer blocks over the pixels of a feature map (diffusers' Transformer2DModel).
struct SpatialTransformer {
  let blocks: [TransformerBlock]
  private let norm: GroupNorm
  private let projectIn, projectOut: Linear

  init(
    _ weights: Weights, channels: Int, depth: Int, heads: Int, _ configuration: UNetConfiguration,
    stage: LayerSite.Stage, module: Int, path: String
  ) throws {
    norm = try weights.groupNorm("norm", channels, groups: configuration.groups, epsilon: 1e-6)
    // The same arithmetic on channels-last pictures; the files differ in the weights' shape.
    projectIn =
      try configuration.linearProjection
      ? weights.linear("proj_in", channels, channels)
      : weights.pointwise("proj_in", channels, channels)
    projectOut =
      try configuration.linearProjection
      ? weights.linear("proj_out", channels, channels)
      : weights.pointwise("proj_out", channels, channels)
    blocks = try (0..<depth).map { index in
      let name = "transformer_blocks.\(index)"
      return try TransformerBlock(
        weights[name], channels: channels, contextWidth: configuration.contextWidth, heads: heads,
        site: LayerSite(stage: stage, module: module, path: "\(path).\(name)"))
    }
  }

  /// - Parameter input: (batch, height, width, channels).
  func callAsFunction(_ input: Tensor, context: Tensor, processor: some UNetProcessor) throws
    -> Tensor
  {
    var hidden = projectIn(
      norm(input).reshaped([input.shape[0], input.shape[1] * input.shape[2], input.shape[3]]))
    let grid = FeatureGrid(height: input.shape[1], width: input.shape[2])
    for block in blocks {
      hidden = try block(hidden, grid: grid, context: context, processor: processor)
    }
    return projectOut(hidden, addedTo: input)
  }
}

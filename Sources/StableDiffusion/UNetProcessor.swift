import Tensor

/// The places where a method plugs into the UNet, as diffusers' attention processors do. Each has
/// the image model's own behaviour by default, so that a method states only what it changes; the
/// UNet itself knows no method.
///
/// Attention and what follows it see (batch, n, channels), whose n tokens are the pixels of `grid`.
/// Rows of a batch are whatever the method makes of them: frames of a video, or streams of frames.
public protocol UNetProcessor {
  /// A transformer block's self-attention, its output projection included.
  ///
  /// - Parameter hiddenStates: (batch, n, channels), after the block's first norm.
  func selfAttention(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, grid: FeatureGrid, at site: LayerSite
  ) throws
    -> Tensor

  /// A transformer block's attention to the text.
  ///
  /// - Parameters:
  ///   - hiddenStates: (batch, n, channels), after the block's second norm.
  ///   - context: (prompts, tokens, width); the number of prompts divides the batch.
  func crossAttention(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, context: Tensor, grid: FeatureGrid,
    at site: LayerSite
  ) throws -> Tensor

  /// What a ResNet of the path up gets: the hidden state, and the skip connection that comes beside
  /// it; (batch, height, width, channels) each.
  func skipConnection(_ hiddenState: Tensor, _ skip: Tensor, at site: LayerSite) throws -> (
    hiddenState: Tensor, skip: Tensor
  )

  /// A ResNet's hidden state after its second convolution, before its shortcut is added; (batch,
  /// height, width, channels).
  func resnetHiddenState(_ hiddenState: Tensor, at site: LayerSite) throws -> Tensor

  /// A transformer block's hidden states after its feed-forward, the residual included; (batch, n,
  /// channels).
  func afterFeedForward(_ hiddenStates: Tensor, grid: FeatureGrid, at site: LayerSite) throws
    -> Tensor

  /// Normalisation in ResNets and at the output; the scope is one row unless a method widens it.
  func groupNorm(_ norm: GroupNorm, _ input: Tensor, activation: Activation?, at site: LayerSite)
    throws -> Tensor
}

extension UNetProcessor {
  public func selfAttention(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, grid: FeatureGrid, at site: LayerSite
  )
    throws -> Tensor
  {
    layer.attend(
      queries: layer.toQueries(hiddenStates), keys: layer.toKeys(hiddenStates),
      values: layer.toValues(hiddenStates))
  }

  public func crossAttention(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, context: Tensor, grid: FeatureGrid,
    at site: LayerSite
  ) throws -> Tensor {
    layer.attend(
      queries: layer.toQueries(hiddenStates), keys: layer.toKeys(context),
      values: layer.toValues(context))
  }

  public func skipConnection(_ hiddenState: Tensor, _ skip: Tensor, at site: LayerSite) throws -> (
    hiddenState: Tensor, skip: Tensor
  ) {
    (hiddenState, skip)
  }

  public func resnetHiddenState(_ hiddenState: Tensor, at site: LayerSite) throws -> Tensor {
    hiddenState
  }

  public func afterFeedForward(_ hiddenStates: Tensor, grid: FeatureGrid, at site: LayerSite) throws
    -> Tensor
  {
    hiddenStates
  }

  public func groupNorm(
    _ norm: GroupNorm, _ input: Tensor, activation: Activation?, at site: LayerSite
  ) throws -> Tensor {
    norm(input, activation: activation)
  }
}

/// The image model as it was trained: every row on its own.
public struct PlainProcessor: UNetProcessor {
  public init() {}
}

/// The feature map whose pixels, row by row, are a layer's tokens.
public struct FeatureGrid: Hashable, Sendable {
  public let height, width: Int

  public init(height: Int, width: Int) { (self.height, self.width) = (height, width) }
}

/// A ResNet or transformer block of the UNet.
public struct LayerSite: Hashable, Sendable {
  public enum Stage: Hashable, Sendable {
    case down(Int)
    case middle
    case up(Int)
    case output
  }

  public let stage: Stage
  /// The number of the ResNet or attention within its stage.
  public let module: Int
  /// The module's path as diffusers names it, e.g. `up_blocks.1.attentions.2.transformer_blocks.0`.
  public let path: String
}

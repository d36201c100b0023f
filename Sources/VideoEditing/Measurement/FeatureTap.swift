import StableDiffusion
import Tensor

/// Lets somebody see the features that a UNet works with, and changes none: the output of its last
/// self-attention, with another processor in charge.
final class FeatureTap: ClipProcessor {
  /// - Parameters:
  ///   - features: (rows, n, channels), a row for each of `frames`; the n tokens are the pixels of
  ///     `grid`.
  typealias Watcher = (
    _ features: Tensor, _ grid: FeatureGrid, _ frames: [Int], _ timestep: Int
  ) throws -> Void

  private let base: any ClipProcessor
  private let site: LayerSite
  private let watch: Watcher
  private var call: (frames: [Int], timestep: Int)?

  /// - Parameter site: of the self-attention.
  init(_ base: any ClipProcessor, at site: LayerSite, watch: @escaping Watcher) {
    (self.base, self.site, self.watch) = (base, site, watch)
  }

  var reach: FrameReach { base.reach }

  func enter(_ part: ClipPart) { base.enter(part) }

  func enter(_ part: ClipPart, frames: [Int], timestep: Int) {
    call = (frames, timestep)
    base.enter(part, frames: frames, timestep: timestep)
  }

  func selfAttention(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, grid: FeatureGrid, at site: LayerSite
  ) throws -> Tensor {
    let output = try base.selfAttention(layer, hiddenStates, grid: grid, at: site)
    if site == self.site, let call { try watch(output, grid, call.frames, call.timestep) }
    return output
  }

  func crossAttention(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, context: Tensor, grid: FeatureGrid,
    at site: LayerSite
  ) throws -> Tensor {
    try base.crossAttention(layer, hiddenStates, context: context, grid: grid, at: site)
  }

  func skipConnection(_ hiddenState: Tensor, _ skip: Tensor, at site: LayerSite) throws -> (
    hiddenState: Tensor, skip: Tensor
  ) {
    try base.skipConnection(hiddenState, skip, at: site)
  }

  func resnetHiddenState(_ hiddenState: Tensor, at site: LayerSite) throws -> Tensor {
    try base.resnetHiddenState(hiddenState, at: site)
  }

  func afterFeedForward(_ hiddenStates: Tensor, grid: FeatureGrid, at site: LayerSite) throws
    -> Tensor
  {
    try base.afterFeedForward(hiddenStates, grid: grid, at: site)
  }

  func groupNorm(_ norm: GroupNorm, _ input: Tensor, activation: Activation?, at site: LayerSite)
    throws -> Tensor
  {
    try base.groupNorm(norm, input, activation: activation, at: site)
  }
}

import StableDiffusion
import Tensor

/// Self-attention in which every frame reads the keys and values of all frames: the naive inversion
/// of a video as a whole. Its cost grows with the square of the number of frames.
public struct SpatialTemporalAttention: ClipProcessor {
  public init() {}

  public var reach: FrameReach { .clip }
  public func enter(_ part: ClipPart) {}

  public func selfAttention(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, grid: FeatureGrid, at site: LayerSite
  )
    throws -> Tensor
  {
    let (frames, n, channels) = (
      hiddenStates.shape[0], hiddenStates.shape[1], hiddenStates.shape[2]
    )
    let video = hiddenStates.reshaped([1, frames * n, channels])
    return layer.attend(
      queries: layer.toQueries(hiddenStates), keys: layer.toKeys(video),
      values: layer.toValues(video))
  }
}

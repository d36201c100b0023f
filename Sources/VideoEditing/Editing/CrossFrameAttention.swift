import StableDiffusion
import Tensor

/// Self-attention in which every frame reads the first one's keys and values (Text2Video-Zero,
/// arXiv 2303.13439), stream by stream.
///
/// Rows of a batch: all frames of the first stream, of the second, and so on. The first group of a
/// step begins with the clip's first frame; what it leaves serves the groups after it.
final class CrossFrameAttention: UNetProcessor {
  /// Whether the next calls' frames begin with the clip's first.
  var beginsStep = true
  private let streams: Int
  /// Of the first frame in every layer; (streams, n, channels).
  private var first: [LayerSite: (keys: Tensor, values: Tensor)] = [:]

  init(streams: Int) { self.streams = streams }

  func selfAttention(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, grid: FeatureGrid, at site: LayerSite
  ) throws -> Tensor {
    if beginsStep {
      let frames = hiddenStates.shape[0] / streams
      let frame = hiddenStates.rows((0..<streams).map { $0 * frames })
      first[site] = (layer.toKeys(frame), layer.toValues(frame))
    }
    guard let first = first[site] else { preconditionFailure("the first group comes first") }
    return layer.attend(
      queries: layer.toQueries(hiddenStates), keys: first.keys, values: first.values)
  }
}

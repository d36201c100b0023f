import StableDiffusion
import Tensor

/// What Pix2Video plugs into the UNet, one frame a call. Rows of a batch: the frame in the
/// unconditional stream and in the conditional one, which never see each other.
final class Pix2VideoProcessor: UNetProcessor {
  /// Of one frame in every layer of the decoder; (2, n, channels).
  private typealias KeysAndValues = [LayerSite: (keys: Tensor, values: Tensor)]

  private var first: KeysAndValues = [:]
  private var previous: KeysAndValues = [:]
  private var current: KeysAndValues = [:]

  /// Before a step's first frame.
  func beginStep() { (first, previous, current) = ([:], [:], [:]) }

  /// After each frame.
  func endFrame() {
    if first.isEmpty { first = current } else { previous = current }
    current = [:]
  }

  func selfAttention(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, grid: FeatureGrid, at site: LayerSite
  ) throws -> Tensor {
    let (queries, keys, values) = (
      layer.toQueries(hiddenStates), layer.toKeys(hiddenStates), layer.toValues(hiddenStates)
    )
    guard case .up = site.stage else {
      return layer.attend(queries: queries, keys: keys, values: values)
    }
    current[site] = (keys, values)
    guard let first = first[site] else {
      return layer.attend(queries: queries, keys: keys, values: values)
    }
    // To the second frame both are the same, and attention to each token twice is attention to it
    // once.
    guard let previous = previous[site] else {
      return layer.attend(queries: queries, keys: first.keys, values: first.values)
    }
    return layer.attend(
      queries: queries, keys: first.keys.followed(by: previous.keys),
      values: first.values.followed(by: previous.values))
  }
}

extension Tensor {
  /// Each row's tokens and then those of the other's same row; (rows, n, channels) and (rows, m,
  /// channels) to (rows, n + m, channels).
  func followed(by other: Tensor) -> Tensor {
    let rows = (0..<shape[0]).flatMap { row in
      [self, other].map { $0.rows(row..<row + 1).reshaped(Array($0.shape.dropFirst())) }
    }
    return Tensor.concatenated(rows).reshaped([shape[0], shape[1] + other.shape[1], shape[2]])
  }
}

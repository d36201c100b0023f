import StableDiffusion
import Tensor

/// What TokenFlow plugs into the UNet. Rows of a batch: the frames of the source stream, of the
/// unconditional one, of the conditional one.
final class TokenFlowProcessor: UNetProcessor {
  enum Pass {
    case anchors
    /// - held: the groups whose keyframes these are.
    /// - areAnchors: which of them are anchors themselves.
    case keyframes(held: Range<Int>, areAnchors: [Bool])
    case propagation(group: Int)
  }

  var pass = Pass.anchors
  var injectsAttention = false
  var injectsFeatures = false
  private let groups: [Range<Int>]
  private let blending: TokenFlow.Blending
  private let freeU: FreeU?
  /// Keys and values of the unconditional and of the conditional stream's anchors at each
  /// self-attention, (1, anchors · n, channels) each.
  private var anchors: [LayerSite: [(keys: Tensor, values: Tensor)]] = [:]
  private var held = 0..<0
  /// What the keyframe pass left at each self-attention: the source stream's normed hidden states,
  /// as unit vectors, (keyframes, n, channels), and the outputs of all three streams, (3 ·
  /// keyframes, n, channels).
  private var keyframes: [LayerSite: (norms: Tensor, outputs: Tensor)] = [:]

  init(groups: [Range<Int>], blending: TokenFlow.Blending, freeU: FreeU?) {
    (self.groups, self.blending, self.freeU) = (groups, blending, freeU)
  }

  func selfAttention(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, grid: FeatureGrid, at site: LayerSite
  ) throws
    -> Tensor
  {
    switch pass {
    case .anchors:
      var streams: [(keys: Tensor, values: Tensor)] = []
      defer { anchors[site] = streams }
      return joined(layer, hiddenStates, at: site) { _, queries, keys, values in
        streams.append((keys, values))
        return layer.attend(queries: queries, keys: keys, values: values)
      }
    case .keyframes(let held, let areAnchors):
      self.held = held
      let outputs = joined(layer, hiddenStates, at: site) { stream, queries, keys, values in
        guard let anchors = anchors[site]?[stream] else {
          return layer.attend(queries: queries, keys: keys, values: values)
        }
        return attended(
          layer, queries, keys, values, to: anchors, areAnchors: areAnchors)
      }
      keyframes[site] = (unitNorms(hiddenStates), outputs)
      return outputs
    case .propagation(let group):
      guard let kept = keyframes[site] else { preconditionFailure("the keyframe pass comes first") }
      return propagated(unitNorms(hiddenStates), from: kept, group: group)
    }
  }

  /// The source stream's, by which neighbours are found.
  private func unitNorms(_ hiddenStates: Tensor) -> Tensor {
    hiddenStates.rows(0..<hiddenStates.shape[0] / 3).dividedByNorms(
      ofGroups: hiddenStates.shape[2])
  }

  func skipConnection(_ hiddenState: Tensor, _ skip: Tensor, at site: LayerSite) throws -> (
    hiddenState: Tensor, skip: Tensor
  ) {
    freeU?(hiddenState, skip) ?? (hiddenState, skip)
  }

  func resnetHiddenState(_ hiddenState: Tensor, at site: LayerSite) throws -> Tensor {
    guard injectsFeatures, site.stage == .up(1), site.module == 1 else { return hiddenState }
    return hiddenState.rows(0..<hiddenState.shape[0] / 3).repeated(3)
  }

  /// Decoder blocks 4 to 11 of plug-and-play diffusion.
  private static func isInjected(_ site: LayerSite) -> Bool {
    switch site.stage {
    case .up(1): (1...2).contains(site.module)
    case .up(2), .up(3): site.module <= 2
    default: false
    }
  }

  /// The source attends within each frame; how the other two do, says `attention`.
  ///
  /// - Parameter attention: called for the unconditional stream, 0, and the conditional, 1, with
  ///   queries (frames, n, channels) and keys and values (1, frames · n, channels).
  private func joined(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, at site: LayerSite,
    _ attention: (_ stream: Int, _ queries: Tensor, _ keys: Tensor, _ values: Tensor) -> Tensor
  ) -> Tensor {
    let (frames, n, channels) = (
      hiddenStates.shape[0] / 3, hiddenStates.shape[1], hiddenStates.shape[2]
    )
    let injected = injectsAttention && Self.isInjected(site)
    let source = hiddenStates.rows(0..<frames)
    let (queries, keys, values) = (
      layer.toQueries(injected ? source : hiddenStates),
      layer.toKeys(injected ? source : hiddenStates), layer.toValues(hiddenStates)
    )
    var outputs = [
      layer.attend(
        queries: queries.rows(0..<frames), keys: keys.rows(0..<frames),
        values: values.rows(0..<frames))
    ]
    for stream in 0..<2 {
      let own = (stream + 1) * frames..<(stream + 2) * frames
      let projected = injected ? 0..<frames : own
      outputs.append(
        attention(
          stream, queries.rows(projected),
          keys.rows(projected).reshaped([1, frames * n, channels]),
          values.rows(own).reshaped([1, frames * n, channels])))
    }
    return Tensor.concatenated(outputs)
  }

  /// Each frame attends to the anchors and, where it is none of them, to itself.
  private func attended(
    _ layer: AttentionLayer, _ queries: Tensor, _ keys: Tensor, _ values: Tensor,
    to anchors: (keys: Tensor, values: Tensor), areAnchors: [Bool]
  ) -> Tensor {
    let (frames, n, channels) = (queries.shape[0], queries.shape[1], queries.shape[2])
    func joined(_ anchors: Tensor, _ own: Tensor, _ frame: Int) -> Tensor {
      guard !areAnchors[frame] else { return anchors }
      return Tensor.concatenated([
        anchors.reshaped([anchors.shape[1], channels]),
        own.reshaped([frames * n, channels]).rows(frame * n..<(frame + 1) * n),
      ]).reshaped([1, anchors.shape[1] + n, channels])
    }
    return Tensor.concatenated(
      (0..<frames).map { frame in
        layer.attend(
          queries: queries.rows(frame..<frame + 1), keys: joined(anchors.keys, keys, frame),
          values: joined(anchors.values, values, frame))
      })
  }

  /// The outputs of each token's nearest neighbours in the keyframes of its own group and of one
  /// beside it, as the blending says.
  private func propagated(_ norms: Tensor, from kept: (norms: Tensor, outputs: Tensor), group: Int)
    -> Tensor
  {
    let (n, channels) = (norms.shape[1], norms.shape[2])
    let shares = groups[group].map { blending.shares(of: $0, in: group, of: groups) }
    /// For a group, the frames that read its keyframe, and their tokens' nearest there.
    var nearest: [Int: (frames: Range<Int>, rows: [Int])] = [:]
    for other in Set(shares.flatMap { $0.map(\.group) }) {
      let readers = shares.indices.filter { index in shares[index].contains { $0.group == other } }
      guard let first = readers.first, let last = readers.last else { continue }
      let frames = first..<last + 1
      let row = other - held.lowerBound
      nearest[other] = (
        frames,
        norms.rows(frames).reshaped([frames.count * n, channels]).nearestRows(
          among: kept.norms.rows(row..<row + 1).reshaped([n, channels]))
      )
    }
    func outputs(_ stream: Int, _ frame: Int, from other: Int) -> Tensor {
      guard let found = nearest[other] else { preconditionFailure("no neighbours in \(other)") }
      let row = stream * kept.norms.shape[0] + other - held.lowerBound
      let tokens = (frame - found.frames.lowerBound) * n
      return kept.outputs.rows(row..<row + 1).reshaped([n, channels]).rows(
        Array(found.rows[tokens..<tokens + n]))
    }
    let blended = (0..<3).flatMap { stream in
      shares.enumerated().map { frame, shares in
        let own = outputs(stream, frame, from: shares[0].group)
        guard shares.count == 2 else { return own }
        return own.blended(
          shares[0].weight, with: outputs(stream, frame, from: shares[1].group), shares[1].weight)
      }
    }
    return Tensor.concatenated(blended).reshaped([3 * shares.count, n, channels])
  }
}

import Foundation
import StableDiffusion
import Tensor

/// TokenFlow (Geyer et al., arXiv 2307.10373; omerbt/TokenFlow) with plug-and-play injection:
/// keyframes are edited together, and every other frame takes the self-attention outputs of its
/// nearest tokens in the keyframes.
///
/// Three streams run side by side: the source (the inversion's stored latents), the unconditional
/// and the conditional one.
public struct TokenFlow: Editor {
  /// Frames to a group; each step draws one keyframe in each. The last group may be shorter.
  public var groupSize = 8
  /// The share of the steps in which the source's queries and keys replace the others' in the
  /// decoder.
  public var attentionShare = 0.5
  /// The share of the steps in which the source's hidden state replaces the others' in one ResNet
  /// of the decoder.
  public var featureShare = 0.8
  public var guidance = 7.5

  /// For a step and a group's frames, the frame to be its keyframe; drawn by the seed where there is
  /// none.
  public var keyframes: ((_ step: Int, _ group: Int, _ frames: Range<Int>) -> Int)?

  public init(guidance: Double = 7.5) { self.guidance = guidance }

  public func passesPerStep(frames: Int) -> Double {
    3 * Double(frames + groups(of: frames).count)
  }

  public func edit(
    _ clip: InvertedClip, with model: StableDiffusionModel, resuming resumption: Resumption? = nil,
    afterStep: (Int, Tensor) throws -> Void = { _, _ in }
  ) throws -> Tensor {
    let (trajectory, prompts) = (clip.trajectory, clip.prompts)
    let timesteps = trajectory.timesteps
    var latents = resumption?.latents ?? trajectory.inverted
    let groups = groups(of: latents.shape[0])
    let keyframes = keyframes ?? Self.drawnKeyframes(seed: clip.seed)
    let context = Tensor.concatenated([
      prompts.source.context, prompts.negative.context, prompts.target.context,
    ])
    let processor = TokenFlowProcessor(groups: groups)
    for (step, timestep) in timesteps.enumerated().dropFirst(resumption?.steps ?? 0) {
      func output(_ frames: [Int]) throws -> Tensor {
        let current = latents.rows(frames)
        let rows = Tensor.concatenated([trajectory.latents[step].rows(frames), current, current])
        return try model.unet(rows, timestep: timestep, context: context, processor: processor)
      }
      processor.injectsAttention = step < Int(Double(timesteps.count) * attentionShare)
      processor.injectsFeatures = step < Int(Double(timesteps.count) * featureShare)
      processor.pass = .keyframes
      _ = try output(groups.enumerated().map { keyframes(step, $0, $1) })
      let next = step + 1 < timesteps.count ? timesteps[step + 1] : nil
      var moved: [Tensor] = []
      for (index, frames) in groups.enumerated() {
        processor.pass = .propagation(group: index)
        let predicted = try output(Array(frames))
        let unconditional = predicted.rows(frames.count..<2 * frames.count)
        let conditional = predicted.rows(2 * frames.count..<3 * frames.count)
        moved.append(
          model.scheduler.move(
            latents.rows(frames), output: unconditional.guided(to: conditional, by: guidance),
            from: model.scheduler.alphaCumprod(timestep), to: model.scheduler.alphaCumprod(next)))
      }
      latents = Tensor.concatenated(moved)
      try afterStep(step + 1, latents)
    }
    return latents
  }

  /// Draws keyframes that depend on nothing but the seed, the step and the group.
  public static func drawnKeyframes(seed: UInt64) -> (
    _ step: Int, _ group: Int, _ frames: Range<Int>
  ) -> Int {
    { step, group, frames in
      frames.lowerBound
        + RandomNumbers(seed: seed, stream: "tokenflow.keyframes.\(group)").integer(
          below: frames.count, at: UInt64(step))
    }
  }

  func groups(of frames: Int) -> [Range<Int>] {
    stride(from: 0, to: frames, by: groupSize).map { $0..<min(frames, $0 + groupSize) }
  }
}

/// What TokenFlow plugs into the UNet. Rows of a batch: the frames of the source stream, of the
/// unconditional one, of the conditional one.
private final class TokenFlowProcessor: UNetProcessor {
  enum Pass {
    case keyframes
    case propagation(group: Int)
  }

  var pass = Pass.keyframes
  var injectsAttention = false
  var injectsFeatures = false
  private let groups: [Range<Int>]
  /// What the keyframe pass left at each self-attention: the source stream's normed hidden states,
  /// as unit vectors, (keyframes, n, channels), and the outputs of all three streams, (3 ·
  /// keyframes, n, channels).
  private var keyframes: [LayerSite: (norms: Tensor, outputs: Tensor)] = [:]

  init(groups: [Range<Int>]) { self.groups = groups }

  func selfAttention(
    _ layer: AttentionLayer, _ hiddenStates: Tensor, grid: FeatureGrid, at site: LayerSite
  ) throws
    -> Tensor
  {
    let frames = hiddenStates.shape[0] / 3
    let norms = hiddenStates.rows(0..<frames).dividedByNorms(ofGroups: hiddenStates.shape[2])
    switch pass {
    case .keyframes:
      let outputs = keyframeAttention(
        layer, hiddenStates, injected: injectsAttention && Self.isInjected(site))
      keyframes[site] = (norms, outputs)
      return outputs
    case .propagation(let group):
      guard let kept = keyframes[site] else { preconditionFailure("the keyframe pass comes first") }
      return propagated(norms, from: kept, group: group)
    }
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

  /// The source attends within each frame; the other two attend to all keyframes.
  private func keyframeAttention(_ layer: AttentionLayer, _ hiddenStates: Tensor, injected: Bool)
    -> Tensor
  {
    let (frames, n, channels) = (
      hiddenStates.shape[0] / 3, hiddenStates.shape[1], hiddenStates.shape[2]
    )
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
    for stream in 1...2 {
      let own = stream * frames..<(stream + 1) * frames
      let projected = injected ? 0..<frames : own
      outputs.append(
        layer.attend(
          queries: queries.rows(projected),
          keys: keys.rows(projected).reshaped([1, frames * n, channels]),
          values: values.rows(own).reshaped([1, frames * n, channels])))
    }
    return Tensor.concatenated(outputs)
  }

  /// The outputs of each token's nearest neighbours in the keyframes of its own group and of the
  /// one before, blended by the frame's distances to the groups' middle frames.
  private func propagated(_ norms: Tensor, from kept: (norms: Tensor, outputs: Tensor), group: Int)
    -> Tensor
  {
    let (frames, n, channels) = (norms.shape[0], norms.shape[1], norms.shape[2])
    let keyframeCount = kept.norms.shape[0]
    let tokens = norms.reshaped([frames * n, channels])
    let neighbours = (group == 0 ? [0] : [group, group - 1]).map { other in
      (
        group: other,
        nearest: tokens.nearestRows(
          among: kept.norms.rows(other..<other + 1).reshaped([n, channels]))
      )
    }
    let found = (0..<3).flatMap { stream in
      neighbours.map { neighbour in
        kept.outputs.rows(
          stream * keyframeCount + neighbour.group..<stream * keyframeCount + neighbour.group + 1
        )
        .reshaped([n, channels]).rows(neighbour.nearest)
      }
    }
    let streams: [Tensor] = (0..<3).map { stream in
      guard neighbours.count == 2 else { return found[stream] }
      let (own, previous) = (found[2 * stream], found[2 * stream + 1])
      return Tensor.concatenated(
        groups[group].enumerated().map { index, frame in
          let weight = ownWeight(frame: frame, group: group)
          let rows = index * n..<(index + 1) * n
          return own.rows(rows).blended(weight, with: previous.rows(rows), 1 - weight)
        })
    }
    return Tensor.concatenated(streams).reshaped([3 * frames, n, channels])
  }

  /// sigmoid(d₂ / (d₁ + d₂)): d₁ and d₂ are the distances to the middle of the frame's own group
  /// and of the group before.
  private func ownWeight(frame: Int, group: Int) -> Float {
    func middle(_ frames: Range<Int>) -> Int { frames.lowerBound + frames.count / 2 }
    let (own, previous) = (
      abs(frame - middle(groups[group])), abs(frame - middle(groups[group - 1]))
    )
    return Float(1 / (1 + exp(-Double(previous) / Double(own + previous))))
  }
}

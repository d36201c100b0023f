import EditSettings
import StableDiffusion
import Tensor

/// TokenFlow (Geyer et al., arXiv 2307.10373; omerbt/TokenFlow) with plug-and-play injection:
/// keyframes are edited together, and every other frame takes the self-attention outputs of its
/// nearest tokens in the keyframes.
///
/// The keyframes of a long clip are too many to attend to all at once: they attend to an even sample
/// of them, the anchors, and each to itself. They are held for some groups at a time, so that memory
/// does not grow with the clip, and no frame sees where one time ends and the next begins.
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
  public var blending = Blending.authors
  public var usesFreeU = false

  /// For a step and a group's frames, the frame to be its keyframe; drawn by the seed where there is
  /// none.
  public var keyframes: ((_ step: Int, _ group: Int, _ frames: Range<Int>) -> Int)?

  public init(guidance: Double = 7.5) { self.guidance = guidance }

  init(_ settings: EditSettings) {
    self.init(guidance: settings.guidance)
    groupSize = settings.options.groupSize ?? groupSize
    attentionShare = settings.options.attentionShare ?? attentionShare
    featureShare = settings.options.featureShare ?? featureShare
    blending = settings.options.blending ?? .linear
    usesFreeU = settings.options.freeU
  }

  public var options: EditorOptions {
    var options = EditorOptions()
    options.groupSize = groupSize
    (options.attentionShare, options.featureShare) = (attentionShare, featureShare)
    (options.blending, options.freeU) = (blending, usesFreeU)
    return options
  }

  public func rowsAtOnce(frames: Int) -> Int {
    3 * max(min(frames, groupSize), min(groups(of: frames).count, Keyframes.most))
  }

  public func passesPerStep(frames: Int) -> Double {
    let keyframes = Keyframes(Array(0..<groups(of: frames).count))
    return 3
      * Double(frames + keyframes.anchors.count + keyframes.chunks.reduce(0) { $0 + $1.held.count })
  }

  public func edit(
    _ clip: InvertedClip, with model: StableDiffusionModel, resuming resumption: Resumption? = nil,
    afterStep: (Int, Tensor) throws -> Void = { _, _ in }
  ) throws -> Tensor {
    let (trajectory, prompts) = (clip.trajectory, clip.prompts)
    let timesteps = trajectory.timesteps
    var latents = resumption?.latents ?? trajectory.inverted
    let groups = groups(of: latents.shape[0])
    let drawn = keyframes ?? Self.drawnKeyframes(seed: clip.seed)
    let context = Tensor.concatenated([
      prompts.source.context, prompts.negative.context, prompts.target.context,
    ])
    let processor = TokenFlowProcessor(
      groups: groups, blending: blending,
      freeU: usesFreeU ? FreeU(channels: model.unet.channels) : nil)
    for (step, timestep) in timesteps.enumerated().dropFirst(resumption?.steps ?? 0) {
      func output(_ pass: TokenFlowProcessor.Pass, _ frames: [Int]) throws -> Tensor {
        processor.pass = pass
        let current = latents.rows(frames)
        let rows = Tensor.concatenated([trajectory.latents[step].rows(frames), current, current])
        return try model.unet(rows, timestep: timestep, context: context, processor: processor)
      }
      processor.injectsAttention = step < Int(Double(timesteps.count) * attentionShare)
      processor.injectsFeatures = step < Int(Double(timesteps.count) * featureShare)
      let keyframes = Keyframes(groups.enumerated().map { drawn(step, $0, $1) })
      if !keyframes.anchors.isEmpty { _ = try output(.anchors, keyframes.anchors) }
      var moved: [Tensor] = []
      for chunk in keyframes.chunks {
        let held = keyframes.frames[chunk.held]
        _ = try output(
          .keyframes(held: chunk.held, areAnchors: held.map(keyframes.anchors.contains)),
          Array(held))
        for index in chunk.groups {
          let frames = groups[index]
          let predicted = try output(.propagation(group: index), Array(frames))
          let unconditional = predicted.rows(frames.count..<2 * frames.count)
          let conditional = predicted.rows(2 * frames.count..<3 * frames.count)
          moved.append(
            model.scheduler.step(
              latents.rows(frames), output: unconditional.guided(to: conditional, by: guidance),
              step, of: timesteps))
        }
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
    frameGroups(of: frames, size: groupSize)
  }
}

/// A step's keyframes, one a group, and in which portions they are worked on.
struct Keyframes {
  /// Keyframes that attend to all of each other.
  static let most = 8

  let frames: [Int]
  /// Those that all others attend to; none where all attend to all.
  let anchors: [Int]
  let chunks: [Chunk]

  struct Chunk {
    /// Groups whose frames are next.
    let groups: Range<Int>
    /// Groups whose keyframes these need: their own, and those beside them.
    let held: Range<Int>
  }

  init(_ frames: [Int]) {
    self.frames = frames
    let count = frames.count
    guard count > Self.most else {
      (anchors, chunks) = ([], [Chunk(groups: 0..<count, held: 0..<count)])
      return
    }
    anchors = ClipPasses.sample(of: count, count: Self.most).map { frames[$0] }
    // No more are held than are where all attend to all.
    chunks = frameGroups(of: count, size: Self.most - 2).map { groups in
      Chunk(
        groups: groups, held: max(0, groups.lowerBound - 1)..<min(count, groups.upperBound + 1))
    }
  }
}

import EditSettings
import StableDiffusion
import Tensor

/// FateZero (Qi et al., arXiv 2303.09535; ChenyangQiQi/FateZero): the attention that the inversion
/// saw goes into the edit, to the text for words that both prompts have, and within the clip
/// everywhere or outside the place of some words.
///
/// Three streams a step, one after another: the source with the latents that the inversion had at
/// this time step, the unconditional one, and the conditional one, which alone takes from the
/// source.
public struct FateZero: Editor {
  /// The share of the steps in which attention to the text is fused.
  public var crossShare = 0.8
  /// The share of the steps in which self-attention is the source's.
  public var selfShare = 0.8
  /// Where both prompts have as many words, a new word takes the attention of the one in its place;
  /// otherwise, and elsewhere, it keeps its own. The authors use it for new objects, not for styles.
  public var replacesWords = false
  /// Words of the prompt, and by how much attention to them is multiplied while it is fused.
  public var emphasis: [String: Double] = [:]
  /// Words of the source prompt whose place keeps the edit's own self-attention; everything takes
  /// the source's where there are none.
  public var blendWords: [String] = []
  /// From which share of their greatest attention on a pixel counts to the words' place.
  public var blendThreshold = 0.3
  /// Layers with fewer channels attend within each frame; all but the UNet's first level attend to
  /// the middle frame where nothing is said, which in Stable Diffusion is the authors' 640.
  public var leastChannels: Int?
  public var guidance = 7.5

  public init(guidance: Double = 7.5) { self.guidance = guidance }

  init(_ settings: EditSettings) {
    self.init(guidance: settings.guidance)
    selfShare = settings.options.attentionShare ?? selfShare
    crossShare = settings.options.crossAttentionShare ?? crossShare
    replacesWords = settings.options.replaceWords
    emphasis = settings.options.emphasis
    blendWords = settings.options.blendWords
    blendThreshold = settings.options.blendThreshold ?? blendThreshold
  }

  public var options: EditorOptions {
    var options = EditorOptions()
    (options.attentionShare, options.crossAttentionShare) = (selfShare, crossShare)
    (options.replaceWords, options.emphasis) = (replacesWords, emphasis)
    (options.blendWords, options.blendThreshold) = (blendWords, blendThreshold)
    return options
  }

  /// One stream at a time.
  public func rowsAtOnce(frames: Int) -> Int { min(frames, ClipPasses.wholeFrames) }

  public func passesPerStep(frames: Int) -> Double {
    (2 + max(selfShare, crossShare)) * Double(frames)
  }

  /// - Throws: `ModelError` where a prompt has none of the words that are named of it, or the model
  ///   none of the layers that show where they are.
  public func check(source: String, target: String, model: StableDiffusionModel) throws {
    let words = FateZeroWords(source: source, target: target, tokenizer: model.tokenizer)
    _ = try (alignment(words), blended(words))
    guard blendWords.isEmpty || BlendMask.canRead(model.unet) else {
      throw ModelError(
        "fatezero: this model's UNet has not the four levels of Stable Diffusion's, where the places of words are read: leave 'blend_words' away"
      )
    }
  }

  /// - Throws: `ModelError` where a prompt has none of the words that are named of it.
  public func edit(
    _ clip: InvertedClip, with model: StableDiffusionModel, resuming resumption: Resumption? = nil,
    afterStep: (Int, Tensor) throws -> Void = { _, _ in }
  ) throws -> Tensor {
    let trajectory = clip.trajectory
    let timesteps = trajectory.timesteps
    let words = FateZeroWords(
      source: clip.prompts.source.text, target: clip.prompts.target.text,
      tokenizer: model.tokenizer)
    let (alignment, blended) = try (alignment(words), blended(words))
    let least = leastChannels ?? model.unet.firstChannels + 1
    var latents = resumption?.latents ?? trajectory.inverted
    for (step, timestep) in timesteps.enumerated().dropFirst(resumption?.steps ?? 0) {
      let fusion = FateZeroFusion(
        fusesSelf: step < Int(Double(timesteps.count) * selfShare),
        // The authors' table of steps has one more row.
        alignment: step < Int(Double(timesteps.count + 1) * crossShare) ? alignment : nil,
        blended: blended, blendThreshold: Float(blendThreshold))
      let walk = FateZeroStep(
        model: model, prompts: clip.prompts, timestep: timestep, fusion: fusion,
        guidance: guidance,
        networks: (0..<3).map { _ in FateZeroNetwork(leastChannels: least, stem: clip.stem) })
      latents = model.scheduler.step(
        latents, output: try walk.output(latents, source: trajectory.inputLatents(step)), step,
        of: timesteps)
      try afterStep(step + 1, latents)
    }
    return latents
  }

  /// `nil` where the edit's own attention to the text stays as it is.
  private func alignment(_ words: FateZeroWords) throws -> PromptAlignment? {
    var alignment = words.alignment(replacing: replacesWords)
    for (word, factor) in emphasis.sorted(by: { $0.key < $1.key }) {
      for place in try words.places(ofTarget: word) {
        alignment.emphasize(place, by: Float(factor))
      }
    }
    return alignment.changesNothing ? nil : alignment
  }

  private func blended(_ words: FateZeroWords) throws -> [Range<Int>] {
    try blendWords.flatMap { try words.places(ofSource: $0) }
  }
}

/// One step of an edit.
private struct FateZeroStep {
  let model: StableDiffusionModel
  let prompts: Prompts
  let timestep: Int
  let fusion: FateZeroFusion
  let guidance: Double
  /// Of the source, the unconditional and the conditional stream.
  let networks: [FateZeroNetwork]

  /// The guided output for a clip.
  ///
  /// - Parameters:
  ///   - latents: the edit's, (frames, height, width, channels).
  ///   - source: the inversion's, like `latents`.
  func output(_ latents: Tensor, source: Tensor) throws -> Tensor {
    try ClipPasses.over(latents.shape[0], reach: .sample) { part, frames in
      for network in networks { network.enter(part) }
      return try output(of: latents.rows(frames), source: source.rows(frames))
    }
  }

  private func output(of latents: Tensor, source: Tensor) throws -> Tensor {
    var kept: FateZeroSource?
    if fusion.readsSource {
      let recorder = FateZeroSource(networks[0], fusion)
      _ = try model.unet(
        source, timestep: timestep, context: prompts.source.context, processor: recorder)
      kept = recorder
    }
    let unconditional = try model.unet(
      latents, timestep: timestep, context: prompts.negative.context, processor: networks[1])
    let conditional = try model.unet(
      latents, timestep: timestep, context: prompts.target.context,
      processor: FateZeroEdit(networks[2], fusion, from: kept))
    return unconditional.guided(to: conditional, by: guidance)
  }
}

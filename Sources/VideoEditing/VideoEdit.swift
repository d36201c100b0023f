import EditSettings
import StableDiffusion
import Tensor

/// One edit of one clip, from scaled frames to edited frames.
public struct VideoEdit {
  let model: StableDiffusionModel
  let settings: EditSettings
  let readsInversion: Bool
  private let editor: (any Editor)?
  /// Whether a reconstruction of the clip comes out besides the edit, or as it.
  public let reconstructs: Bool
  private let measures: Bool
  /// Numbers of a trajectory that stay in memory; a longer one goes to the scratch folder.
  var mostInMemory = 1 << 22

  /// - Parameters:
  ///   - reconstructs: also sample the source prompt from the inverted noise, which shows what the
  ///     inversion kept; where the clip is inverted.
  ///   - measures: the same, and also decode the clip's own latents, which tells the autoencoder's
  ///     error from the inversion's.
  public init(
    model: StableDiffusionModel, settings: EditSettings, reconstructs: Bool = false,
    measures: Bool = false
  ) {
    (self.model, self.settings, editor) = (model, settings, settings.editor(for: model))
    readsInversion = editor?.readsInversion ?? true
    self.measures = measures && readsInversion
    self.reconstructs = (reconstructs || measures) && readsInversion || editor == nil
  }

  /// What comes out, some frames at a time: first all of the reconstruction, where there is one.
  public enum Output: Sendable {
    /// The clip as the autoencoder keeps it; where there is measuring, before the reconstruction of
    /// the same frames.
    case autoencoded
    /// The clip as the inversion kept it.
    case reconstructed
    /// Where nothing but a reconstruction is asked for, that.
    case edited
  }

  /// - Parameters:
  ///   - source: height and width multiples of the autoencoder's scale.
  ///   - scratchFolder: where there is room for what a long clip leaves for later steps; without
  ///     one it is kept in memory.
  ///   - memory: keeps what the steps leave, and knows what an earlier run of the same edit left;
  ///     the result has the same bits with it and without.
  ///   - features: looks at those of the inversion, where there is one.
  ///   - progress: told at every step; what it throws ends the edit.
  ///   - deliver: takes pictures, (frames, height, width, 3) in [-1, 1], in the frames' order.
  /// - Throws: `ModelError` where the settings ask for what the model cannot do, `DurableFileError`
  ///   where the scratch folder is full, and what the closures throw.
  public func run(
    _ source: Pictures, scratchFolder: String? = nil, memory: (any EditMemory)? = nil,
    features: FeatureMeasure? = nil, progress: (EditProgress) throws -> Void,
    deliver: (Output, _ frames: Range<Int>, Tensor) throws -> Void
  ) throws {
    try withoutActuallyEscaping(progress) { progress in
      // Before the long work, so that a wrong number of steps costs nobody an hour.
      try Self.check(settings, for: model)
      let inversionSteps =
        readsInversion
        ? try Inversion(model).stepCounts(
          steps: settings.steps, inversionSteps: settings.inversionSteps) : []
      let plan = EditPlan(
        settings: settings, inversionSteps: inversionSteps.last, editor: editor,
        frames: source.frames, reconstructs: reconstructs)
      let walk = EditWalk(plan: plan, memory: memory, progress: progress)

      let prompts = Prompts(settings, model: model)
      let processor: any ClipProcessor =
        switch settings.inversion {
        case .ddim: PlainProcessor()
        case .spatialTemporal: SpatialTemporalAttention()
        case .stem: STEMAttention(settings)
        }
      let start = try latents(of: source, walk)
      let inverted =
        readsInversion
        ? try inverted(
          start, context: prompts.source.context, by: processor, inversionSteps, scratchFolder,
          features, walk)
        : (trajectory: Trajectory(timesteps: [], latents: [], clean: start), reconstructed: nil)
      let edited = try editor.map {
        try latents(
          editedBy: $0,
          InvertedClip(
            trajectory: inverted.trajectory, prompts: prompts, stem: processor as? STEMAttention,
            seed: settings.seed), walk)
      }
      if let latents = inverted.reconstructed {
        try decode(latents, .reconstructedPictures, walk) { frames, pictures in
          if measures {
            try deliver(.autoencoded, frames, decoded(inverted.trajectory.clean.rows(frames)))
          }
          try deliver(.reconstructed, frames, pictures)
          if edited == nil { try deliver(.edited, frames, pictures) }
        }
      }
      if let latents = edited {
        let done = inverted.reconstructed == nil ? 0 : source.frames
        try decode(latents, .pictures, done: done, walk) { try deliver(.edited, $0, $1) }
      }
    }
  }

  /// The settings with a value for all that the editor goes by, whatever was left to its defaults,
  /// which another version may change. That the inversion takes as many steps as the edit is no
  /// number to be written out.
  public var settingsInForce: EditSettings {
    var complete = settings
    if let editor { complete.options = editor.options }
    return complete
  }

  /// - Throws: `ModelError` where the settings ask for what the model cannot do.
  public static func check(_ settings: EditSettings, for model: StableDiffusionModel) throws {
    guard model.takesInstructions else {
      if settings.options.imageGuidance != nil {
        throw ModelError(
          "'image_guidance' is for models that take instructions, as InstructPix2Pix does, and this one does not: leave it away, or choose another model"
        )
      }
      _ = try Inversion(model).stepCounts(
        steps: settings.steps, inversionSteps: settings.inversionSteps)
      try settings.editor(for: model)?.check(
        source: settings.sourcePrompt, target: settings.prompt, model: model)
      return
    }
    guard settings.method == .text2videoZero else {
      throw ModelError(
        "this model takes instructions, which the method \(settings.method.rawValue) does not give: edit with \(EditingMethod.text2videoZero.rawValue), or choose another model"
      )
    }
    _ = try model.ancestralScheduler.levels(settings.steps)
  }

  /// Rows of the largest batch that goes through the UNet.
  public func rowsAtOnce(frames: Int) -> Int {
    let inversion =
      settings.inversion == .spatialTemporal ? frames : min(frames, ClipPasses.wholeFrames)
    return max(inversion, editor?.rowsAtOnce(frames: frames) ?? 0)
  }

  /// Scaled latents, (frames, height, width, channels).
  private func latents(of source: Pictures, _ walk: EditWalk) throws -> Tensor {
    let (autoencoder, scale) = (model.autoencoder, model.autoencoder.scale)
    var parts: [Tensor] = []
    try walk.portions(
      AutoencoderKL.portions(of: source.frames, pixels: source.height * source.width), .latents,
      of: .encodeLatents,
      shape: [source.height / scale, source.width / scale, autoencoder.latentChannels],
      compute: { autoencoder.encode(try source.read($0)) }, use: { parts.append($1) })
    return Tensor.concatenated(parts) * Float(autoencoder.scalingFactor)
  }

  private func decode(
    _ latents: Tensor, _ series: EditSeries, done: Int = 0, _ walk: EditWalk,
    _ use: (Range<Int>, Tensor) throws -> Void
  ) throws {
    let autoencoder = model.autoencoder
    let (height, width) = (
      latents.shape[1] * autoencoder.scale, latents.shape[2] * autoencoder.scale
    )
    try walk.portions(
      AutoencoderKL.portions(of: latents.shape[0], pixels: height * width), series,
      of: .decodeLatents, shape: [height, width, 3], done: done,
      compute: { decoded(latents.rows($0)) }, use: use)
  }

  private func decoded(_ latents: Tensor) -> Tensor {
    model.autoencoder.decode(latents * Float(1 / model.autoencoder.scalingFactor))
      .clippedToPictures
  }

  private func latents(editedBy editor: any Editor, _ clip: InvertedClip, _ walk: EditWalk) throws
    -> Tensor
  {
    let resumption = walk.resumption(
      .edit, of: .edit, shape: clip.trajectory.clean.shape, limit: settings.steps)
    try walk.enter(.edit, at: resumption?.steps ?? 0)
    return try editor.edit(clip, with: model, resuming: resumption) { step, latents in
      // No later step reads them.
      if readsInversion { clip.trajectory.latents[step - 1].releasePages() }
      try walk.pass(.edit, step, latents, .edit, step - 1)
    }
  }

  /// - Parameter inversionSteps: steps to each level of the trajectory.
  private func inverted(
    _ start: Tensor, context: Tensor, by processor: any ClipProcessor, _ inversionSteps: [Int],
    _ scratchFolder: String?, _ features: FeatureMeasure?, _ walk: EditWalk
  ) throws -> (trajectory: Trajectory, reconstructed: Tensor?) {
    let inversion = Inversion(model)
    let scratch = try scratchFolder.flatMap { folder in
      start.count * settings.steps > mostInMemory ? try ScratchFile(folder: folder) : nil
    }
    func kept(_ latents: Tensor) throws -> Tensor { try scratch?.keep(latents) ?? latents }

    let levels = Array(try model.scheduler.timesteps(settings.steps).reversed())
    let passed = try walk.recalled(.trajectory, shape: start.shape, limit: settings.steps) {
      level, latents, beside in
      features?.recall(beside, levels[level])
      return try kept(latents)
    }
    let levelSteps = inversionSteps[passed.count]
    let between = walk.resumption(
      .betweenLevels, of: .invert, shape: start.shape,
      after: levelSteps, limit: inversionSteps[min(passed.count + 1, settings.steps)] - 1)
    let done = between?.steps ?? levelSteps
    if between == nil { walk.plan.recall(.invert, done) }
    try walk.enter(.invert, at: done)
    let trajectory = try inversion.invert(
      start, context: context, steps: settings.steps, inversionSteps: settings.inversionSteps,
      processor: tapped(processor, features), passed: passed, resuming: between
    ) { step, latents, level in
      guard let level else {
        try walk.pass(.invert, step, latents, .betweenLevels, step - 1)
        return latents
      }
      let latents = try kept(latents)
      try walk.pass(
        .invert, step, latents, .trajectory, level, beside: features?.state(levels[level]) ?? [:])
      return latents
    }
    guard reconstructs else { return (trajectory, nil) }
    let resumption = walk.resumption(
      .reconstruction, of: .reconstruct, shape: start.shape, limit: settings.steps)
    try walk.enter(.reconstruct, at: resumption?.steps ?? 0)
    let sampled = try inversion.reconstruct(
      trajectory.inverted, context: context, steps: settings.steps, processor: processor,
      resuming: resumption
    ) { step, latents in
      try walk.pass(.reconstruct, step, latents, .reconstruction, step - 1)
    }
    return (trajectory, sampled)
  }

  /// What looks at the features of a clip's inversion when it is handed to `run`; `nil` where the
  /// method reads none.
  ///
  /// - Parameters:
  ///   - source: the clip.
  ///   - scratchFolder: as of `run`.
  ///   - followsMotion: as of `FeatureMeasure`.
  /// - Throws: `ModelError`, as `run`.
  public func featureMeasure(
    of source: Pictures, scratchFolder: String? = nil, followsMotion: Bool = true
  ) throws -> FeatureMeasure? {
    guard readsInversion, model.unet.lastSelfAttention != nil else { return nil }
    return FeatureMeasure(
      source, timesteps: try model.scheduler.timesteps(settings.steps).reversed(),
      scratchFolder: scratchFolder, followsMotion: followsMotion)
  }

  /// The processor, with somebody who looks at the features where they are asked for.
  private func tapped(_ processor: any ClipProcessor, _ features: FeatureMeasure?)
    -> any ClipProcessor
  {
    guard let features, let site = model.unet.lastSelfAttention else { return processor }
    return FeatureTap(processor, at: site, watch: features.add)
  }
}

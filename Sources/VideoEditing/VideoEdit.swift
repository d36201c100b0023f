import EditSettings
import StableDiffusion
import Tensor

/// One edit of one clip, from scaled frames to edited frames.
public struct VideoEdit {
  private let model: StableDiffusionModel
  private let settings: EditSettings
  private let editor: (any Editor)?
  private let reconstructs: Bool

  /// - Parameter reconstructs: also sample the source prompt from the inverted noise, to measure
  ///   what the inversion kept.
  public init(model: StableDiffusionModel, settings: EditSettings, reconstructs: Bool = false) {
    (self.model, self.settings, editor) = (model, settings, settings.editor)
    self.reconstructs = reconstructs || editor == nil
  }

  public struct Result: Sendable {
    /// (frames, height, width, 3) in [-1, 1].
    public let edited: Tensor
    /// The clip as the inversion kept it, like `edited`; where it was asked for.
    public let reconstructed: Tensor?
  }

  /// - Parameters:
  ///   - frames: (frames, height, width, 3) in [-1, 1]; height and width multiples of the
  ///     autoencoder's scale.
  ///   - memory: keeps what the steps leave, and knows what an earlier run of the same edit left;
  ///     the result has the same bits with it and without.
  ///   - progress: told at every step; what it throws ends the edit.
  /// - Throws: `ModelError` where the settings ask for what the model cannot do.
  public func run(
    frames: Tensor, memory: (any EditMemory)? = nil, progress: (EditProgress) throws -> Void
  ) throws -> Result {
    try withoutActuallyEscaping(progress) { progress in
      // Before the long work, so that a wrong number of steps costs nobody an hour.
      let inversionSteps = try Inversion(model).stepCounts(
        steps: settings.steps, inversionSteps: settings.inversionSteps)
      let plan = EditPlan(
        settings: settings, inversionSteps: inversionSteps[settings.steps], editor: editor,
        frames: frames.shape[0], reconstructs: reconstructs)
      return try run(
        frames, inversionSteps, EditWalk(plan: plan, memory: memory, progress: progress))
    }
  }

  /// - Parameter inversionSteps: steps to each level of the trajectory.
  private func run(_ frames: Tensor, _ inversionSteps: [Int], _ walk: EditWalk) throws -> Result {
    let prompts = Prompts(settings, model: model)
    try walk.enter(.encodeLatents)
    let (scale, size) = (model.autoencoder.scale, frames.shape)
    let start =
      try model.autoencoder.encode(
        frames,
        portion: walk.portions(
          .latents, of: .encodeLatents,
          shape: [size[1] / scale, size[2] / scale, model.autoencoder.latentChannels]))
      * Float(model.autoencoder.scalingFactor)

    let stem = settings.inversion == .stem ? STEMAttention(settings) : nil
    let inverted = try inverted(
      start, context: prompts.source.context, stem, inversionSteps, walk)
    let edited = try editor.map {
      try latents(
        editedBy: $0,
        InvertedClip(
          trajectory: inverted.trajectory, prompts: prompts, inversion: settings.inversion,
          stem: stem, seed: settings.seed), walk)
    }
    var decoded = 0
    func pictures(_ latents: Tensor, _ series: EditSeries) throws -> Tensor {
      try walk.enter(.decodeLatents, at: decoded)
      defer { decoded += size[0] }
      return try model.autoencoder.decode(
        latents * Float(1 / model.autoencoder.scalingFactor),
        portion: walk.portions(
          series, of: .decodeLatents, shape: Array(size.dropFirst()), done: decoded)
      ).clippedToPictures
    }
    let reconstructed = try inverted.reconstructed.map { try pictures($0, .reconstructedPictures) }
    guard let edited else {
      return Result(edited: reconstructed ?? frames, reconstructed: reconstructed)
    }
    return Result(edited: try pictures(edited, .pictures), reconstructed: reconstructed)
  }

  private func latents(editedBy editor: any Editor, _ clip: InvertedClip, _ walk: EditWalk) throws
    -> Tensor
  {
    let resumption = walk.resumption(
      .edit, of: .edit, shape: clip.trajectory.inverted.shape, limit: settings.steps)
    try walk.enter(.edit, at: resumption?.steps ?? 0)
    return try editor.edit(clip, with: model, resuming: resumption) { step, latents in
      try walk.pass(.edit, step, latents, .edit, step - 1)
    }
  }

  private func inverted(
    _ start: Tensor, context: Tensor, _ stem: STEMAttention?, _ inversionSteps: [Int],
    _ walk: EditWalk
  ) throws -> (trajectory: Trajectory, reconstructed: Tensor?) {
    if let stem {
      return try inverted(start, context: context, processor: stem, inversionSteps, walk)
    }
    if settings.inversion == .spatialTemporal {
      return try inverted(
        start, context: context, processor: SpatialTemporalAttention(), inversionSteps, walk)
    }
    return try inverted(start, context: context, processor: PlainProcessor(), inversionSteps, walk)
  }

  private func inverted(
    _ start: Tensor, context: Tensor, processor: some ClipProcessor,
    _ inversionSteps: [Int], _ walk: EditWalk
  ) throws -> (trajectory: Trajectory, reconstructed: Tensor?) {
    let inversion = Inversion(model)
    let passed = walk.recalled(.trajectory, shape: start.shape, limit: settings.steps)
    walk.plan.recall(.invert, inversionSteps[passed.count])
    try walk.enter(.invert, at: inversionSteps[passed.count])
    let trajectory = try inversion.invert(
      start, context: context, steps: settings.steps, inversionSteps: settings.inversionSteps,
      processor: processor, passed: passed
    ) { step, latents, level in
      try level.map { try walk.pass(.invert, step, latents, .trajectory, $0) }
        ?? walk.enter(.invert, at: step)
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
}

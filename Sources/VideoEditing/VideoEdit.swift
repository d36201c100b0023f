import EditSettings
import StableDiffusion
import Tensor

/// One edit of one clip, from scaled frames to edited frames.
public struct VideoEdit {
  private let model: StableDiffusionModel
  private let settings: EditSettings
  private let reconstructs: Bool

  /// - Parameter reconstructs: also sample the source prompt from the inverted noise, to measure
  ///   what the inversion kept.
  public init(model: StableDiffusionModel, settings: EditSettings, reconstructs: Bool = false) {
    (self.model, self.settings) = (model, settings)
    self.reconstructs = reconstructs || settings.method == .reconstruct
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
  ///   - progress: told at every step; what it throws ends the edit.
  /// - Throws: `ModelError` where the settings ask for what the model cannot do.
  public func run(frames: Tensor, progress: (EditProgress) throws -> Void) throws -> Result {
    let count = frames.shape[0]
    let plan = EditPlan(settings: settings, frames: count, reconstructs: reconstructs)
    func report(_ stage: EditProgress.Stage, _ step: Int) throws {
      try progress(plan.progress(stage, step))
    }
    // Before the long work, so that a wrong number of steps costs nobody an hour.
    _ = try model.scheduler.timesteps(settings.steps)

    let texts = model.encode([settings.sourcePrompt, settings.negativePrompt, settings.prompt])
    let contexts = TokenFlow.Contexts(
      source: texts.rows(0..<1), negative: texts.rows(1..<2), target: texts.rows(2..<3))
    try report(.encodeLatents, 0)
    let start =
      try model.autoencoder.encode(frames) { try report(.encodeLatents, $0) }
      * Float(model.autoencoder.scalingFactor)

    let inverted = try inverted(start, context: contexts.source, report)
    var edited = inverted.reconstructed
    if settings.method == .tokenflow {
      try report(.edit, 0)
      var tokenFlow = TokenFlow()
      tokenFlow.guidance = settings.guidance
      edited = try tokenFlow.edit(
        model, inverted.trajectory, contexts: contexts,
        keyframes: TokenFlow.drawnKeyframes(seed: settings.seed)
      ) { step, _ in
        try report(.edit, step)
      }
    }
    var decoded = 0
    func pictures(_ latents: Tensor) throws -> Tensor {
      try report(.decodeLatents, decoded)
      defer { decoded += count }
      return try model.autoencoder.decode(latents * Float(1 / model.autoencoder.scalingFactor)) {
        try report(.decodeLatents, decoded + $0)
      }.clippedToPictures
    }
    let reconstructed = try inverted.reconstructed.map(pictures)
    guard settings.method != .reconstruct, let edited else {
      return Result(edited: reconstructed ?? frames, reconstructed: reconstructed)
    }
    return Result(edited: try pictures(edited), reconstructed: reconstructed)
  }

  private typealias Report = (EditProgress.Stage, Int) throws -> Void

  private func inverted(_ start: Tensor, context: Tensor, _ report: Report) throws -> (
    trajectory: Trajectory, reconstructed: Tensor?
  ) {
    switch settings.inversion {
    case .ddim: try inverted(start, context: context, processor: PlainProcessor(), report)
    case .spatialTemporal:
      try inverted(start, context: context, processor: SpatialTemporalAttention(), report)
    case .stem:
      try inverted(
        start, context: context,
        processor: STEMAttention(
          bases: settings.bases, iterations: settings.iterations, seed: settings.seed), report)
    }
  }

  private func inverted(
    _ start: Tensor, context: Tensor, processor: some UNetProcessor, _ report: Report
  ) throws -> (trajectory: Trajectory, reconstructed: Tensor?) {
    let inversion = Inversion(model)
    try report(.invert, 0)
    let trajectory = try inversion.invert(
      start, context: context, steps: settings.steps, processor: processor
    ) { try report(.invert, $0) }
    guard reconstructs else { return (trajectory, nil) }
    try report(.reconstruct, 0)
    let sampled = try inversion.reconstruct(
      trajectory.inverted, context: context, steps: settings.steps, processor: processor
    ) {
      try report(.reconstruct, $0)
    }
    return (trajectory, sampled)
  }
}

import EditSettings
import StableDiffusion
import Tensor

/// Text2Video-Zero's own way of editing, Video Instruct-Pix2Pix (arXiv 2303.13439, section 4.3): a
/// model that takes instructions (InstructPix2Pix, arXiv 2211.09800) sees each frame beside its
/// noise, the prompt says what to do with it ("make it a painting"), and every frame's
/// self-attention reads the first frame's keys and values.
///
/// It starts from noise, so that nothing is inverted. Three streams run side by side: instruction
/// and picture, picture alone, neither.
public struct VideoInstructPix2Pix: Editor {
  public var steps: Int
  public var guidance: Double
  /// How closely the edit follows the clip; 1 to 2 is usual.
  public var imageGuidance: Double
  /// Frames that go through the UNet at once.
  public var groupSize = 8
  /// Standard-normal numbers of a shape: those that the edit starts from, for step `nil`, and those
  /// that a step adds; drawn by the seed where there is none.
  public var noise: ((_ step: Int?, _ shape: [Int]) throws -> Tensor)?

  public init(steps: Int = 50, guidance: Double = 7.5, imageGuidance: Double = 1) {
    (self.steps, self.guidance, self.imageGuidance) = (steps, guidance, imageGuidance)
  }

  init(_ settings: EditSettings) {
    self.init(steps: settings.steps, guidance: settings.guidance)
    imageGuidance = settings.options.imageGuidance ?? imageGuidance
  }

  public var options: EditorOptions {
    var options = EditorOptions()
    options.imageGuidance = imageGuidance
    return options
  }

  public var readsInversion: Bool { false }

  public func rowsAtOnce(frames: Int) -> Int { 3 * min(frames, groupSize) }

  public func passesPerStep(frames: Int) -> Double { 3 * Double(frames) }

  public func edit(
    _ clip: InvertedClip, with model: StableDiffusionModel, resuming resumption: Resumption? = nil,
    afterStep: (Int, Tensor) throws -> Void = { _, _ in }
  ) throws -> Tensor {
    let scheduler = model.ancestralScheduler
    let levels = try scheduler.levels(steps)
    let prompts = clip.prompts
    let context = Tensor.concatenated([
      prompts.target.context, prompts.negative.context, prompts.negative.context,
    ])
    // The model was trained on unscaled latents of the picture.
    let pictures = clip.trajectory.clean * Float(1 / model.autoencoder.scalingFactor)
    let nothing = Tensor(repeating: 0, shape: pictures.shape)
    let noise = noise ?? Self.drawnNoise(seed: clip.seed)
    let groups = frameGroups(of: pictures.shape[0], size: groupSize)
    let processor = CrossFrameAttention(streams: 3)
    var latents =
      try resumption?.latents
      ?? noise(nil, pictures.shape) * Float(scheduler.startingDeviation(levels))
    for (step, level) in levels.enumerated().dropFirst(resumption?.steps ?? 0) {
      let next = step + 1 < levels.count ? levels[step + 1].sigma : 0
      let scaled = scheduler.scaled(latents, at: level.sigma)
      let outputs = try groups.map { frames in
        let current = scaled.rows(frames)
        let seeing = Tensor.concatenatedChannels(current, pictures.rows(frames))
        let blind = Tensor.concatenatedChannels(current, nothing.rows(frames))
        processor.beginsStep = frames.lowerBound == 0
        let predicted = try model.unet(
          Tensor.concatenated([seeing, seeing, blind]), timestep: level.timestep, context: context,
          processor: processor)
        let (instructed, pictured, neither) = (
          predicted.rows(0..<frames.count), predicted.rows(frames.count..<2 * frames.count),
          predicted.rows(2 * frames.count..<3 * frames.count)
        )
        // neither + image guidance · (pictured − neither) + guidance · (instructed − pictured)
        return neither.guided(to: pictured, by: imageGuidance)
          + (instructed - pictured) * Float(guidance)
      }
      latents = scheduler.move(
        latents, output: Tensor.concatenated(outputs), from: level.sigma, to: next,
        noise: try noise(step, latents.shape))
      try afterStep(step + 1, latents)
    }
    return latents
  }

  /// Noise that depends on nothing but the seed and the step.
  public static func drawnNoise(seed: UInt64) -> (_ step: Int?, _ shape: [Int]) -> Tensor {
    { step, shape in
      let place = step.map { "step.\($0)" } ?? "start"
      return RandomNumbers(seed: seed, stream: "instruct-pix2pix.\(place)").normal(shape)
    }
  }
}

import EditSettings
import StableDiffusion
import Tensor

/// Pix2Video (Ceylan et al., arXiv 2303.12688; duyguceylan/pix2video): frames are edited one after
/// another, and each looks at the first and at the previous edited one.
///
/// - The decoder's self-attention reads the first and the previous frame's keys and values in place
///   of the frame's own; the first frame reads its own.
/// - In the first half of the steps each frame's predicted clean latents are drawn towards the
///   previous frame's.
///
/// The authors take a frame through all steps before the next. Here a step takes all frames before
/// the next step: a frame depends on earlier ones at the same step alone, so the numbers are the
/// same, and a step's keys and values need not outlive it. Their model also sees each frame's
/// depth; this one sees what the model sees.
///
/// Whatever inverted the clip, no layer reads bases: STEM gives the noise that the frames start
/// from, and the layers below the decoder stay within the frame. Reading the bases of the source
/// there costs a pass of all frames a step, and on the small model's clips the edit came no nearer
/// to the perfect one (a gain of 2.5 dB over doing nothing, instead of 2.7).
public struct Pix2Video: Editor {
  public var guidance: Double
  /// How strongly the clean latents are drawn: the gradient of this times the mean squared
  /// difference is subtracted from the next latents.
  ///
  /// The mean is the one over a picture of 512x512, whatever the clip's size. The authors take each
  /// clip's own, so that a small clip's frames are drawn more strongly, sixteen times at 128x128,
  /// which tears them apart there.
  public var pull = 100.0
  /// The share of the steps, from the first on, after which the latents are no longer drawn; the
  /// step at the boundary still draws.
  public var pullShare = 0.5

  /// How many numbers the latents of 512x512 are.
  static let authorsLatents = 4.0 * 64 * 64

  public init(guidance: Double = 7.5) { self.guidance = guidance }

  init(_ settings: EditSettings) {
    self.init(guidance: settings.guidance)
    pull = settings.options.pull ?? pull
  }

  public var options: EditorOptions {
    var options = EditorOptions()
    options.pull = pull
    return options
  }

  public func rowsAtOnce(frames: Int) -> Int { 2 }

  public func passesPerStep(frames: Int) -> Double { 2 * Double(frames) }

  public func edit(
    _ clip: InvertedClip, with model: StableDiffusionModel, resuming resumption: Resumption? = nil,
    afterStep: (Int, Tensor) throws -> Void = { _, _ in }
  ) throws -> Tensor {
    let timesteps = clip.trajectory.timesteps
    let context = Tensor.concatenated([clip.prompts.negative.context, clip.prompts.target.context])
    let processor = Pix2VideoProcessor()
    var latents = resumption?.latents ?? clip.trajectory.inverted
    for (step, timestep) in timesteps.enumerated().dropFirst(resumption?.steps ?? 0) {
      let isPulled = step <= Int(Double(timesteps.count) * pullShare)
      var moved: [Tensor] = []
      var previousClean: Tensor?
      processor.beginStep()
      for frame in 0..<latents.shape[0] {
        let current = latents.rows(frame..<frame + 1)
        let predicted = try model.unet(
          current.repeated(2), timestep: timestep, context: context, processor: processor)
        processor.endFrame()
        let output = predicted.rows(0..<1).guided(to: predicted.rows(1..<2), by: guidance)
        var after = model.scheduler.step(current, output: output, step, of: timesteps)
        if isPulled {
          // A move to where there is no noise.
          let clean = model.scheduler.move(
            current, output: output, from: model.scheduler.alphaCumprod(timestep), to: 1)
          if let previousClean {
            let rate = Float(2 * pull / Self.authorsLatents)
            after = after.blended(1, with: clean - previousClean, -rate)
          }
          previousClean = clean
        }
        moved.append(after)
      }
      latents = Tensor.concatenated(moved)
      try afterStep(step + 1, latents)
    }
    return latents
  }
}

import StableDiffusion
import Tensor

/// Text to video without a clip and without training: Text2Video-Zero (Khachatryan et al., arXiv
/// 2303.13439; Picsart-AI-Research/Text2Video-Zero).
///
/// The first frame's latents are sampled down to noise level t0, shifted there for each later frame,
/// noised again up to t1 with fresh noise, and from t1 on all frames are sampled together, while
/// every frame's self-attention reads the first one's keys and values. What the authors do to smooth
/// the background, with a detector of salient objects, is left out.
public struct VideoGeneration {
  public var frames = 8
  public var steps = 50
  public var guidance = 7.5
  public var motion = Motion(x: 12, y: 12)
  /// The noise levels at which frames are shifted and from which they are sampled together, as
  /// places in the table of time steps, 0 the cleanest; the same shares of other numbers of steps
  /// as the authors' 44 and 47 of 50 where there is none.
  public var t0, t1: Int?
  public var seed: UInt64 = 0
  /// Standard-normal numbers of a shape: those that the first frame starts from, and those that
  /// noise the later frames again; drawn by the seed where there is none.
  public var noise: ((_ draw: Draw, _ shape: [Int]) throws -> Tensor)?

  public enum Draw: String, Sendable {
    case start
    case later
  }

  public struct Progress: Sendable {
    public enum Stage: String, Sendable {
      case generate
      case decode
    }
    public let stage: Stage
    public let step, steps: Int
    /// How much of the whole work is done.
    public let share: Double
  }

  public init() {}

  /// Makes pictures of what a prompt says.
  ///
  /// - Parameters:
  ///   - height, width: in pixels, multiples of the autoencoder's scale.
  ///   - progress: told at every step; what it throws ends the generation.
  ///   - use: takes one portion of the pictures after the other, (frames, height, width, 3) in
  ///     [-1, 1].
  /// - Throws: `ModelError` where the model cannot do what is asked for.
  public func run(
    _ prompt: String, without negativePrompt: String = "", height: Int, width: Int,
    with model: StableDiffusionModel, progress: (Progress) throws -> Void = { _ in },
    use: (Tensor) throws -> Void
  ) throws {
    try check(for: model)
    let scale = model.autoencoder.scale
    let context = model.encode([negativePrompt, prompt])
    let cost = try cost()
    // A picture's way through the decoder costs about two passes of its latent through the UNet.
    let whole = cost.total + 2 * Double(frames)
    func report(_ stage: Progress.Stage, _ step: Int, of steps: Int, _ done: Double) throws {
      try progress(Progress(stage: stage, step: step, steps: steps, share: done / whole))
    }
    try report(.generate, 0, of: steps, 0)
    let latents = try latents(
      height: height / scale, width: width / scale, context: context, with: model
    ) { step, _ in try report(.generate, step, of: steps, cost.after(step)) }
    let unscaled = latents * Float(1 / model.autoencoder.scalingFactor)
    for portion in AutoencoderKL.portions(of: frames, pixels: height * width) {
      let done = portion.lowerBound
      try report(.decode, done, of: frames, cost.total + 2 * Double(done))
      try use(model.autoencoder.decode(unscaled.rows(portion)).clippedToPictures)
    }
  }

  /// - Throws: `ModelError`, a sentence that says what does not fit.
  public func check(for model: StableDiffusionModel) throws {
    guard !model.takesInstructions else {
      throw ModelError(
        "this model takes instructions about a clip, and cannot make one: choose an ordinary model")
    }
    _ = try model.scheduler.timesteps(steps)
    _ = try levels()
  }

  /// Scaled latents, (frames, height, width, channels).
  ///
  /// - Parameters:
  ///   - height, width: of the latents.
  ///   - context: of the negative prompt and of the prompt, (2, tokens, width).
  ///   - afterStep: called with the number of finished steps and the latents after them, from t1 on
  ///     of all frames, before of the first one.
  public func latents(
    height: Int, width: Int, context: Tensor, with model: StableDiffusionModel,
    afterStep: (Int, Tensor) throws -> Void = { _, _ in }
  ) throws -> Tensor {
    let timesteps = try model.scheduler.timesteps(steps)
    let (shift, start) = try levels()
    let noise = noise ?? Self.drawnNoise(seed: seed)
    let sampler = Text2VideoZero(guidance: guidance)
    func moved(_ latents: Tensor, _ step: Int) throws -> Tensor {
      try sampler.moved(latents, step: step, of: timesteps, context: context, with: model)
    }

    var latents = try noise(.start, [1, height, width, model.autoencoder.latentChannels])
    for step in 0..<start {
      latents = try moved(latents, step)
      try afterStep(step + 1, latents)
    }
    if frames > 1 {
      var shifted = latents
      for step in start..<shift { shifted = try moved(shifted, step) }
      let later = Tensor.concatenated((1..<frames).map { shifted.moved(by: motion, frame: $0) })
      // The product of the training's alphas from t0's to the one before t1's.
      func alphaCumprod(before timestep: Int) -> Double {
        timestep == 0 ? 1 : model.scheduler.alphasCumprod[timestep - 1]
      }
      let kept = alphaCumprod(before: timesteps[start]) / alphaCumprod(before: timesteps[shift])
      let noised = later.blended(
        Float(kept.squareRoot()), with: try noise(.later, later.shape),
        Float((1 - kept).squareRoot())
      )
      latents = Tensor.concatenated([latents, noised])
    }
    for step in start..<steps {
      latents = try moved(latents, step)
      try afterStep(step + 1, latents)
    }
    return latents
  }

  /// The numbers of the steps before which frames are shifted (t0) and sampled together (t1).
  private func levels() throws -> (shift: Int, start: Int) {
    guard steps > 1 else {
      throw ModelError("a video is generated in 2 steps at least, not in \(steps)")
    }
    let t1 = t1 ?? min(steps - 1, max((t0 ?? 0) + 1, steps * 47 / 50))
    let t0 = t0 ?? min(t1 - 1, max(0, steps * 44 / 50))
    guard 0 <= t0, t0 < t1, t1 < steps else {
      throw ModelError(
        "t0 and t1 count the \(steps) steps from the cleanest, 0, to the noisiest, \(steps - 1), and t1 is the noisier one: \(t0) and \(t1) are not such"
      )
    }
    return (shift: steps - 1 - t0, start: steps - 1 - t1)
  }

  /// Passes of one frame through the UNet.
  private struct Cost {
    let steps, frames, shift, start: Int

    var total: Double { after(steps) }

    func after(_ step: Int) -> Double {
      guard step > start else { return 2 * Double(step) }
      let alone = start + (frames > 1 ? shift - start : 0)
      return 2 * Double(alone + frames * (step - start))
    }
  }

  private func cost() throws -> Cost {
    let levels = try levels()
    return Cost(steps: steps, frames: frames, shift: levels.shift, start: levels.start)
  }

  /// Noise that depends on nothing but the seed.
  public static func drawnNoise(seed: UInt64) -> (_ draw: Draw, _ shape: [Int]) -> Tensor {
    { draw, shape in
      RandomNumbers(seed: seed, stream: "text2video-zero.\(draw.rawValue)").normal(shape)
    }
  }
}

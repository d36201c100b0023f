import EditSettings
import StableDiffusion
import Tensor

/// Editing by Text2Video-Zero's cross-frame attention (Khachatryan et al., arXiv 2303.13439;
/// Picsart-AI-Research/Text2Video-Zero) on an ordinary model: the inverted clip is sampled anew
/// with the target prompt, while every frame's self-attention reads the first frame's keys and
/// values.
///
/// The authors edit with InstructPix2Pix (`VideoInstructPix2Pix`); that their attention edits
/// inverted latents is this project's definition. With STEM the noise carries what all frames have
/// in common; the edit reads no bases.
public struct Text2VideoZero: Editor {
  public var guidance: Double
  /// Frames that go through the UNet at once.
  public var groupSize = 8

  public init(guidance: Double = 7.5) { self.guidance = guidance }

  /// There is nothing that it can be told.
  public var options: EditorOptions { EditorOptions() }

  public func rowsAtOnce(frames: Int) -> Int { 2 * min(frames, groupSize) }

  public func passesPerStep(frames: Int) -> Double { 2 * Double(frames) }

  public func edit(
    _ clip: InvertedClip, with model: StableDiffusionModel, resuming resumption: Resumption? = nil,
    afterStep: (Int, Tensor) throws -> Void = { _, _ in }
  ) throws -> Tensor {
    let timesteps = clip.trajectory.timesteps
    let context = Tensor.concatenated([clip.prompts.negative.context, clip.prompts.target.context])
    var latents = resumption?.latents ?? clip.trajectory.inverted
    for step in timesteps.indices.dropFirst(resumption?.steps ?? 0) {
      latents = try moved(latents, step: step, of: timesteps, context: context, with: model)
      try afterStep(step + 1, latents)
    }
    return latents
  }

  /// All frames' latents after one step.
  ///
  /// - Parameter context: of the negative and of the target prompt, (2, tokens, width).
  func moved(
    _ latents: Tensor, step: Int, of timesteps: [Int], context: Tensor,
    with model: StableDiffusionModel
  ) throws -> Tensor {
    let processor = CrossFrameAttention(streams: 2)
    return Tensor.concatenated(
      try frameGroups(of: latents.shape[0], size: groupSize).map { frames in
        let current = latents.rows(frames)
        processor.beginsStep = frames.lowerBound == 0
        let predicted = try model.unet(
          current.repeated(2), timestep: timesteps[step], context: context, processor: processor)
        let output = predicted.rows(0..<frames.count).guided(
          to: predicted.rows(frames.count..<2 * frames.count), by: guidance)
        return model.scheduler.step(current, output: output, step, of: timesteps)
      })
  }
}

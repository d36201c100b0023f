import EditSettings
import StableDiffusion
import Tensor

/// A way to edit an inverted clip.
///
/// An editor never needs all frames of a long clip in one call of the UNet: what a frame must know
/// of others, an earlier call of the same step has left in the editor's processor.
public protocol Editor {
  /// What a step costs, in passes of one frame through the UNet.
  func passesPerStep(frames: Int) -> Double

  /// Rows of the largest batch that goes through the UNet, for a clip of so many frames.
  func rowsAtOnce(frames: Int) -> Int

  /// What the editor goes by, with a value for all that it knows of.
  var options: EditorOptions { get }

  /// Whether the clip has to be inverted; the trajectory of one that was not has only the clip.
  var readsInversion: Bool { get }

  /// - Throws: `ModelError` where the prompts or the model have not what the editor was told of.
  func check(source: String, target: String, model: StableDiffusionModel) throws

  /// - Parameters:
  ///   - resumption: where an interrupted edit goes on; latents are all that an editor carries from
  ///     one step to the next.
  ///   - afterStep: called with the number of finished steps and the latents after them; what it
  ///     throws ends the edit.
  /// - Returns: scaled latents of the edited clip, (frames, height, width, channels).
  func edit(
    _ clip: InvertedClip, with model: StableDiffusionModel, resuming resumption: Resumption?,
    afterStep: (Int, Tensor) throws -> Void
  ) throws -> Tensor
}

extension Editor {
  public var readsInversion: Bool { true }

  public func check(source: String, target: String, model: StableDiffusionModel) throws {}
}

/// A clip as noise, the way there, and what is said about it.
public struct InvertedClip {
  /// Its steps are the edit's.
  public let trajectory: Trajectory
  public let prompts: Prompts
  /// What inverted the clip, where that was STEM.
  public let stem: STEMAttention?
  public let seed: UInt64

  public init(
    trajectory: Trajectory, prompts: Prompts, stem: STEMAttention? = nil, seed: UInt64 = 0
  ) {
    (self.trajectory, self.prompts) = (trajectory, prompts)
    (self.stem, self.seed) = (stem, seed)
  }
}

/// What a clip shows, what its edit must not show, and what it is to show.
public struct Prompts {
  public struct Prompt {
    public let text: String
    /// What the UNet reads, (1, tokens, width).
    public let context: Tensor

    public init(_ text: String, context: Tensor) { (self.text, self.context) = (text, context) }
  }

  public let source, negative, target: Prompt

  public init(source: Prompt, negative: Prompt, target: Prompt) {
    (self.source, self.negative, self.target) = (source, negative, target)
  }

  init(_ settings: EditSettings, model: StableDiffusionModel) {
    let texts = [settings.sourcePrompt, settings.negativePrompt, settings.prompt]
    let contexts = model.encode(texts)
    func prompt(_ index: Int) -> Prompt {
      Prompt(texts[index], context: contexts.rows(index..<index + 1))
    }
    self.init(source: prompt(0), negative: prompt(1), target: prompt(2))
  }
}

extension Tensor {
  /// Classifier-free guidance: unconditional + scale · (conditional − unconditional).
  func guided(to conditional: Tensor, by scale: Double) -> Tensor {
    blended(Float(1 - scale), with: conditional, Float(scale))
  }
}

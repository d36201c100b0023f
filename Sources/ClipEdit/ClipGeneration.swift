import EditSettings
import StableDiffusion
import Tensor
import VideoEditing
import VideoFile

/// A video from a text alone, into a file: what `stemctl generate` does.
public struct ClipGeneration {
  public var prompt: String
  public var negativePrompt: String
  /// `nil` for the square that the model was made for.
  public var size: FrameSize?
  /// Frames a second.
  public var frameRate: Int
  public var generation: VideoGeneration

  public init(
    prompt: String, negativePrompt: String = "", size: FrameSize? = nil, frameRate: Int = 4,
    generation: VideoGeneration = VideoGeneration()
  ) {
    (self.prompt, self.negativePrompt, self.size) = (prompt, negativePrompt, size)
    (self.frameRate, self.generation) = (frameRate, generation)
  }

  /// - Parameters:
  ///   - scratchFolder: where there is room for the frames.
  ///   - output: the path of the mp4; it appears whole or not at all, in place of what was there.
  ///   - note: told in a sentence what whoever asked for it should know.
  ///   - progress: told at every step; what it throws ends the generation.
  /// - Returns: the video's size.
  /// - Throws: `ModelError` and `ClipEditError` for what the model or this machine cannot do;
  ///   `VideoFileError`.
  @discardableResult
  public func run(
    with model: StableDiffusionModel, video: VideoProcess, scratchFolder: String, output: String,
    note: (String) -> Void = { _ in }, progress: (VideoGeneration.Progress) throws -> Void
  ) throws -> FrameSize {
    let size = size ?? FrameSize(width: model.nativeSize, height: model.nativeSize)
    let multiple = model.autoencoder.scale
    guard size.width % multiple == 0, size.height % multiple == 0 else {
      throw ClipEditError(
        "the size \(size) does not fit this model: width and height must be multiples of \(multiple)"
      )
    }
    try generation.check(for: model)
    let needed = model.estimatedBytes(
      frames: min(generation.frames, ClipPasses.wholeFrames), height: size.height,
      width: size.width)
    if let refusal = ClipLimits().refusal(
      for: (generation.frames, size.width, size.height), needed: needed)
    {
      throw refusal
    }
    model.notes(on: ["prompt": prompt, "negative prompt": negativePrompt]).forEach(note)
    model.note(onSize: size).map(note)
    let made = try FrameFile(folder: scratchFolder)
    try generation.run(
      prompt, without: negativePrompt, height: size.height, width: size.width, with: model,
      progress: progress
    ) { pictures in
      guard pictures.isFinite else {
        throw ClipEditError.notFinite(guidance: generation.guidance)
      }
      try pictures.pixels.withUnsafeBytes(made.append)
    }
    try video.deliver(
      StoredClip(
        width: size.width, height: size.height,
        timing: VideoTiming(
          frameRate: Rational(Int32(frameRate), 1), frameCount: generation.frames),
        frames: made), to: output)
    return size
  }
}

import EditSettings
import StableDiffusion
import Tensor

extension VideoEdit {
  /// Bytes of memory that an edit takes, about.
  public struct MemoryEstimate: Sendable, Equatable {
    /// At its widest.
    public let total: Int
    /// What STEM's bases have of it.
    public let bases: Int
  }

  /// - Parameters:
  ///   - frames: of the clip.
  ///   - height, width: of its frames, in pixels.
  public func estimatedMemory(frames: Int, height: Int, width: Int) -> MemoryEstimate {
    let pictures = model.estimatedBytes(
      frames: rowsAtOnce(frames: frames), height: height, width: width)
    let bases =
      readsInversion && settings.inversion == .stem
      ? STEMAttention.estimatedBytes(
        bases: settings.bases, of: settings.basesOf, in: model, frames: frames, height: height,
        width: width) : 0
    return MemoryEstimate(total: pictures + bases, bases: bases)
  }
}

extension STEMAttention {
  /// About how much memory the bases take beside what attention takes without them.
  static func estimatedBytes(
    bases: Int, of source: BasesSource, in model: StableDiffusionModel, frames: Int, height: Int,
    width: Int
  ) -> Int {
    let scale = model.autoencoder.scale
    var grid = (height: height / scale, width: width / scale)
    var (kept, widest) = (0, 0)
    for (channels, level) in zip(model.unet.channels, model.unet.selfAttention) {
      let tokens = min(frames, ClipPasses.wholeFrames) * grid.height * grid.width
      grid = ((grid.height + 1) / 2, (grid.width + 1) / 2)
      // EM runs where there are more tokens than bases.
      guard tokens > bases, level.layers > 0 else { continue }
      let numbers = bases * channels * MemoryLayout<Float>.stride
      // Each layer's starting noise, and of a long clip the sample's bases of keys and values.
      kept += level.layers * numbers * (frames > ClipPasses.wholeFrames ? 3 : 1)
      let sums = Tensor.softAssignmentBytes(
        tokens: tokens, centres: bases, width: channels,
        heads: source == .keys ? level.heads : 1, summands: source == .keys ? 2 : 1)
      // The means, their unit vectors, and the start's numbers while they are computed.
      widest = max(widest, sums + 4 * numbers)
    }
    return kept + widest
  }
}

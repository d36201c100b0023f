/// What a finished edit has to say about itself; goes into `result.json` and metrics files as it
/// is.
public struct EditFigures: Codable, Sendable, Equatable {
  public var frames: Int
  public var size: FrameSize
  /// Frames per second.
  public var frameRate: Double
  /// In what it was computed, never `auto`; `nil` where nothing tells, as in figures from before
  /// there was a choice.
  public var precision: PrecisionSetting?
  /// Wall-clock seconds by stage.
  public var seconds: [String: Double]
  /// Whether the clip's inversion was that of an earlier job.
  public var inversionReused: Bool
  /// What the inversion kept: dB against the scaled input frames, before video encoding; where a
  /// reconstruction was made.
  public var reconstructionPSNR: Double?
  public var reconstructionSSIM: Double?
  /// What the autoencoder alone keeps of the frames.
  public var autoencoderPSNR: Double?
  /// The reconstruction against what the autoencoder alone keeps: the inversion's own error.
  public var inversionPSNR: Double?
  public var inversionSSIM: Double?
  /// Against the truth of a perfect edit, where one is known: dB over whole frames.
  public var editPSNR: Double?
  /// What doing nothing scores: the source against the truth.
  public var uneditedPSNR: Double?
  /// The edit against the truth, over the pixels in which source and truth differ by more than
  /// 8/255.
  public var changedPSNR: Double?
  /// What doing nothing scores over those pixels.
  public var changedUneditedPSNR: Double?
  /// The edit against the truth, over all other pixels.
  public var unchangedPSNR: Double?
  /// Flicker: how far each edited frame is from the one before, moved as the source moves; the root
  /// of the mean squared difference of 8-bit pixels, mean over the frames.
  public var warpError: Double?
  /// The source's own, which no edit has to fall below.
  public var sourceWarpError: Double?
  /// How well the features of the inversion agree from frame to frame, moved as the source moves:
  /// mean cosine similarity over pixels, frames and time steps.
  public var featureConsistency: Double?
  /// Mean cosine similarity of consecutive edited frames' CLIP embeddings.
  public var temCon: Double?
  /// The share of edited frames whose CLIP embedding is nearer to the prompt than to the source
  /// prompt.
  public var frameAcc: Double?

  public init(
    frames: Int, size: FrameSize, frameRate: Double, precision: PrecisionSetting? = nil
  ) {
    self.frames = frames
    self.size = size
    self.frameRate = frameRate
    self.precision = precision
    seconds = [:]
    inversionReused = false
  }

  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    frames = try values.decode(Int.self, forKey: .frames)
    size = try values.decode(FrameSize.self, forKey: .size)
    frameRate = try values.decode(Double.self, forKey: .frameRate)
    // One of another version must not cost the rest.
    precision = try values.decodeIfPresent(String.self, forKey: .precision).flatMap(
      PrecisionSetting.init(rawValue:))
    seconds = try values.decode([String: Double].self, forKey: .seconds)
    // Figures from before there was a cache say nothing of it.
    inversionReused = try values.decodeIfPresent(Bool.self, forKey: .inversionReused) ?? false
    func measured(_ key: CodingKeys) throws -> Double? {
      try values.decodeIfPresent(Double.self, forKey: key)
    }
    reconstructionPSNR = try measured(.reconstructionPSNR)
    reconstructionSSIM = try measured(.reconstructionSSIM)
    autoencoderPSNR = try measured(.autoencoderPSNR)
    inversionPSNR = try measured(.inversionPSNR)
    inversionSSIM = try measured(.inversionSSIM)
    editPSNR = try measured(.editPSNR)
    uneditedPSNR = try measured(.uneditedPSNR)
    changedPSNR = try measured(.changedPSNR)
    changedUneditedPSNR = try measured(.changedUneditedPSNR)
    unchangedPSNR = try measured(.unchangedPSNR)
    warpError = try measured(.warpError)
    sourceWarpError = try measured(.sourceWarpError)
    featureConsistency = try measured(.featureConsistency)
    temCon = try measured(.temCon)
    frameAcc = try measured(.frameAcc)
  }

  enum CodingKeys: String, CodingKey {
    case frames, size, precision, seconds
    case frameRate = "frame_rate"
    case inversionReused = "inversion_reused"
    case reconstructionPSNR = "reconstruction_psnr"
    case reconstructionSSIM = "reconstruction_ssim"
    case autoencoderPSNR = "autoencoder_psnr"
    case inversionPSNR = "inversion_psnr"
    case inversionSSIM = "inversion_ssim"
    case editPSNR = "edit_psnr"
    case uneditedPSNR = "unedited_psnr"
    case changedPSNR = "changed_psnr"
    case changedUneditedPSNR = "changed_unedited_psnr"
    case unchangedPSNR = "unchanged_psnr"
    case warpError = "warp_error"
    case sourceWarpError = "source_warp_error"
    case featureConsistency = "feature_consistency"
    case temCon = "tem_con"
    case frameAcc = "frame_acc"
  }
}

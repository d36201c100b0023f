import EditSettings

/// How a measure is shown to people.
struct Measure {
  /// Measures of one plot have this in common.
  enum Plot: String, CaseIterable {
    case ratio = "Likeness to the clip, PSNR in dB"
    case inversion = "Likeness to what the autoencoder keeps, PSNR in dB"
    case truth = "Likeness to the truth, PSNR in dB"
    case similarity = "Likeness to the clip, SSIM"
    case warp = "Flicker: change from frame to frame beyond the clip's motion"
    case features = "Likeness of the model's features from frame to frame"
    case images = "Likeness of what consecutive frames show"
  }

  let name: String
  let label: String
  let meaning: String
  let unit: String
  let digits: Int
  let plot: Plot
  let figure: (EditFigures) -> Double?

  private init(
    _ name: String, _ label: String, _ meaning: String, unit: String = "", digits: Int = 3,
    _ plot: Plot, _ figure: @escaping (EditFigures) -> Double?
  ) {
    (self.name, self.label, self.meaning, self.unit) = (name, label, meaning, unit)
    (self.digits, self.plot, self.figure) = (digits, plot, figure)
  }

  func text(_ value: Double) -> String {
    decimal(value, digits: digits) + (unit.isEmpty ? "" : " " + unit)
  }

  static func named(_ name: String) -> Measure? { all.first { $0.name == name } }

  static var all: [Measure] {
    [
      Measure(
        "reconstruction_psnr", "Reconstruction",
        "how near the clip comes back from its noise; 30 dB is hard to tell apart", unit: "dB",
        digits: 2, .ratio
      ) { $0.reconstructionPSNR },
      Measure(
        "autoencoder_psnr", "Autoencoder alone",
        "the most that any reconstruction by this model can have", unit: "dB", digits: 2, .ratio
      ) { $0.autoencoderPSNR },
      Measure(
        "inversion_psnr", "Inversion alone",
        "the reconstruction against what the autoencoder alone keeps", unit: "dB", digits: 2,
        .inversion
      ) { $0.inversionPSNR },
      Measure(
        "reconstruction_ssim", "Reconstruction, structure",
        "1 where the structure is that of the clip", .similarity
      ) { $0.reconstructionSSIM },
      Measure(
        "inversion_ssim", "Inversion alone, structure",
        "the same against what the autoencoder alone keeps", .similarity
      ) { $0.inversionSSIM },
      Measure(
        "edit_psnr", "Edit against the truth", "how near a perfect edit it is", unit: "dB",
        digits: 2, .truth
      ) { $0.editPSNR },
      Measure(
        "unedited_psnr", "Clip against the truth", "what doing nothing scores", unit: "dB",
        digits: 2, .truth
      ) { $0.uneditedPSNR },
      Measure(
        "changed_psnr", "Edit, where the truth changes", "whether what was asked for happened",
        unit: "dB", digits: 2, .truth
      ) { $0.changedPSNR },
      Measure(
        "changed_unedited_psnr", "Clip, where the truth changes", "what doing nothing scores there",
        unit: "dB", digits: 2, .truth
      ) { $0.changedUneditedPSNR },
      Measure(
        "unchanged_psnr", "Edit, elsewhere", "whether the rest was left alone", unit: "dB",
        digits: 2, .truth
      ) { $0.unchangedPSNR },
      Measure(
        "warp_error", "Flicker of the edit",
        "how far each frame is from the one before, moved as the clip moves, in 255ths; less is steadier",
        digits: 2, .warp
      ) { $0.warpError },
      Measure(
        "source_warp_error", "Flicker of the clip",
        "the clip's own, which no edit has to fall below",
        digits: 2, .warp
      ) { $0.sourceWarpError },
      Measure(
        "feature_consistency", "Steadiness of features",
        "how well what the model sees agrees from frame to frame; 1 at best", .features
      ) { $0.featureConsistency },
      Measure(
        "tem_con", "Tem-Con", "how alike consecutive frames are to CLIP; 1 at best", .images
      ) { $0.temCon },
      Measure(
        "frame_acc", "Frame-Acc",
        "the share of frames that CLIP finds nearer to the prompt than to the source prompt",
        .images
      ) { $0.frameAcc },
      Measure("clip_similarity", "Consecutive frames", "", .images) { _ in nil },
    ]
  }
}

/// With so many digits after the point.
func decimal(_ value: Double, digits: Int) -> String {
  value.formatted(
    .number.locale(.init(identifier: "en_US_POSIX")).grouping(.never)
      .precision(.fractionLength(digits)))
}

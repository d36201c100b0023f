import EditSettings
import Tensor
import VideoEditing

/// What an edit's pictures score, gathered as they come.
struct EditMeasures {
  private let source: Pictures
  private let truth: Pictures?
  private var autoencoder = Fidelity()
  private var reconstruction = Fidelity()
  private var inversion = Fidelity()
  private var isReconstructed = false
  /// Of the frames that are reconstructed next.
  private var autoencoded: Tensor?
  private var edit = RatioByFrame()
  private var unedited = RatioByFrame()
  private var changed = RatioByFrame()
  private var changedUnedited = RatioByFrame()
  private var unchanged = RatioByFrame()
  private var warp: WarpError?
  private let features: FeatureMeasure?
  var embeddings: EmbeddingMeasures?
  private var missing: [String] = []

  /// - Parameters:
  ///   - truth: the perfect edit, where one is known.
  ///   - features: what the edit is handed to look at its inversion's features.
  init(_ source: Pictures, truth: Pictures? = nil, features: FeatureMeasure? = nil) {
    (self.source, self.truth, self.features) = (source, truth, features)
    if let absence = Self.absenceOfMotion(source) {
      omit("warp_error", absence)
      if features != nil { omit("feature_consistency", absence) }
    } else {
      warp = WarpError()
    }
    if features == nil {
      omit("feature_consistency", "no features of an inversion were looked at")
    }
  }

  /// Notes why some figures are not there.
  ///
  /// - Parameter namesAndReason: the figures' names, and last of all the reason.
  mutating func omit(_ namesAndReason: String...) {
    missing.append(
      "\(namesAndReason.dropLast().joined(separator: ", ")): \(namesAndReason.last ?? "")")
  }

  /// Why a clip's frames cannot be followed from one to the next; `nil` where they can.
  static func absenceOfMotion(_ source: Pictures) -> String? {
    source.frames < 2
      ? "the clip has only one frame"
      : OpticalFlow.absence(height: source.height, width: source.width)
  }

  mutating func add(_ output: VideoEdit.Output, _ frames: Range<Int>, _ pictures: Tensor) throws {
    switch output {
    case .autoencoded:
      autoencoder.add(pictures, try source.read(frames), of: frames)
      autoencoded = pictures
    case .reconstructed:
      isReconstructed = true
      reconstruction.add(pictures, try source.read(frames), of: frames)
      if let autoencoded { inversion.add(pictures, autoencoded, of: frames) }
    case .edited:
      guard warp != nil || truth != nil else { return }
      let source = try source.read(frames)
      do {
        try warp?.add(source: source, edited: pictures)
      } catch let error as OpticalFlowError {
        // No reason to give up an edit.
        warp = nil
        omit("warp_error", "\(error)")
      }
      guard let truth = try truth?.read(frames) else { return }
      let mask = changedPixels(source, truth)
      edit.add(pictures, truth, of: frames)
      unedited.add(source, truth, of: frames)
      changed.add(pictures, truth, of: frames, mask: mask)
      changedUnedited.add(source, truth, of: frames, mask: mask)
      unchanged.add(pictures, truth, of: frames, mask: mask.map { !$0 })
    }
  }

  func put(into figures: inout EditFigures) {
    figures.autoencoderPSNR = autoencoder.ratio.mean
    figures.reconstructionPSNR = reconstruction.ratio.mean
    figures.reconstructionSSIM = reconstruction.similarity.mean
    figures.inversionPSNR = inversion.ratio.mean
    figures.inversionSSIM = inversion.similarity.mean
    figures.editPSNR = edit.mean
    figures.uneditedPSNR = unedited.mean
    figures.changedPSNR = changed.mean
    figures.changedUneditedPSNR = changedUnedited.mean
    figures.unchangedPSNR = unchanged.mean
    figures.warpError = warp?.mean?.edited
    figures.sourceWarpError = warp?.mean?.source
    let consistency = features?.consistency ?? []
    if !consistency.isEmpty {
      figures.featureConsistency =
        consistency.reduce(0) { $0 + $1.value } / Double(consistency.count)
    }
    figures.temCon = embeddings?.consistency
    figures.frameAcc = embeddings?.accuracy
  }

  /// What was measured, frame by frame or time step by time step, under the figures' names.
  var curves: [MeasureCurve] {
    [
      autoencoder.ratio.curve("autoencoder_psnr"),
      reconstruction.ratio.curve("reconstruction_psnr"),
      reconstruction.similarity.curve("reconstruction_ssim"),
      inversion.ratio.curve("inversion_psnr"),
      inversion.similarity.curve("inversion_ssim"),
      edit.curve("edit_psnr"),
      unedited.curve("unedited_psnr"),
      changed.curve("changed_psnr"),
      changedUnedited.curve("changed_unedited_psnr"),
      unchanged.curve("unchanged_psnr"),
      .frames("warp_error", (warp?.values ?? []).map { ($0.frame, $0.edited) }),
      .frames("source_warp_error", (warp?.values ?? []).map { ($0.frame, $0.source) }),
      .frames("clip_similarity", embeddings?.similarities ?? []),
      .timesteps("feature_consistency", features?.consistency ?? []),
    ].compactMap(\.self)
  }

  /// The first three principal components of the inversion's features at one time step, (frames,
  /// height, width, 3) in [-1, 1]; `nil` where none were looked at.
  var featurePicture: Tensor? { features?.picture }

  /// For each figure that was not measured its name, a colon and the reason.
  var omissions: [String] {
    var all = missing
    if !isReconstructed {
      all.append(
        "reconstruction_psnr, reconstruction_ssim: the clip was not reconstructed"
      )
    }
    guard let features else { return all }
    if let failure = features.failure {
      all.append("feature_consistency: \(failure)")
    } else if features.missed > 0, warp != nil {
      all.append(
        "feature_consistency at \(features.missed) time steps: an earlier run passed them without looking at features"
      )
    }
    return all
  }
}

private struct Fidelity {
  var ratio = RatioByFrame()
  var similarity = SimilarityByFrame()

  mutating func add(_ pictures: Tensor, _ truth: Tensor, of frames: Range<Int>) {
    ratio.add(pictures, truth, of: frames)
    similarity.add(pictures, truth, of: frames)
  }
}

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
  /// Of the frames that are reconstructed next.
  private var autoencoded: Tensor?
  private var edit = RatioByFrame()
  private var unedited = RatioByFrame()
  private var changed = RatioByFrame()
  private var changedUnedited = RatioByFrame()
  private var unchanged = RatioByFrame()

  /// - Parameter truth: the perfect edit, where one is known.
  init(_ source: Pictures, truth: Pictures? = nil) { (self.source, self.truth) = (source, truth) }

  mutating func add(_ output: VideoEdit.Output, _ frames: Range<Int>, _ pictures: Tensor) throws {
    switch output {
    case .autoencoded:
      autoencoder.add(pictures, try source.read(frames), of: frames)
      autoencoded = pictures
    case .reconstructed:
      reconstruction.add(pictures, try source.read(frames), of: frames)
      if let autoencoded { inversion.add(pictures, autoencoded, of: frames) }
    case .edited:
      guard let truth = try truth?.read(frames) else { return }
      let source = try source.read(frames)
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
    ].compactMap(\.self)
  }

  /// The first three principal components of the inversion's features at one time step, (frames,
  /// height, width, 3) in [-1, 1]; `nil` where none were looked at.
  var featurePicture: Tensor? { nil }

  /// A sentence for each measure that there is not, with the reason.
  var omissions: [String] { [] }
}

private struct Fidelity {
  var ratio = RatioByFrame()
  var similarity = SimilarityByFrame()

  mutating func add(_ pictures: Tensor, _ truth: Tensor, of frames: Range<Int>) {
    ratio.add(pictures, truth, of: frames)
    similarity.add(pictures, truth, of: frames)
  }
}

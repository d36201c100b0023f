import EditSettings
import Tensor
import VideoEditing
import VideoFile

/// What an edit's pictures score, gathered as they come.
struct EditMeasures {
  private let source: Pictures
  private let truth: Pictures?
  private var autoencoder = Fidelity()
  private var reconstruction = Fidelity()
  private var inversion = Fidelity()
  /// Of the frames that are reconstructed next.
  private var autoencoded: Tensor?
  private var edit = PeakSignalToNoiseRatio()
  private var unedited = PeakSignalToNoiseRatio()
  private var changed = PeakSignalToNoiseRatio()
  private var changedUnedited = PeakSignalToNoiseRatio()
  private var unchanged = PeakSignalToNoiseRatio()

  /// - Parameter truth: the perfect edit, where one is known.
  init(_ source: some Movie, truth: (some Movie)?) {
    (self.source, self.truth) = (source.pictures, truth?.pictures)
  }

  mutating func add(_ output: VideoEdit.Output, _ frames: Range<Int>, _ pictures: Tensor) throws {
    switch output {
    case .autoencoded:
      autoencoder.add(pictures, try source.read(frames))
      autoencoded = pictures
    case .reconstructed:
      reconstruction.add(pictures, try source.read(frames))
      if let autoencoded { inversion.add(pictures, autoencoded) }
    case .edited:
      guard let truth = try truth?.read(frames) else { return }
      let source = try source.read(frames)
      let mask = changedPixels(source, truth)
      edit.add(pictures, truth)
      unedited.add(source, truth)
      changed.add(pictures, truth, mask: mask)
      changedUnedited.add(source, truth, mask: mask)
      unchanged.add(pictures, truth, mask: mask.map { !$0 })
    }
  }

  func put(into figures: inout EditFigures) {
    figures.autoencoderPSNR = autoencoder.ratio.finite
    figures.reconstructionPSNR = reconstruction.ratio.finite
    figures.reconstructionSSIM = reconstruction.similarity.value
    figures.inversionPSNR = inversion.ratio.finite
    figures.inversionSSIM = inversion.similarity.value
    figures.editPSNR = edit.finite
    figures.uneditedPSNR = unedited.finite
    figures.changedPSNR = changed.finite
    figures.changedUneditedPSNR = changedUnedited.finite
    figures.unchangedPSNR = unchanged.finite
  }
}

private struct Fidelity {
  var ratio = PeakSignalToNoiseRatio()
  var similarity = StructuralSimilarity()

  mutating func add(_ pictures: Tensor, _ truth: Tensor) {
    ratio.add(pictures, truth)
    similarity.add(pictures, truth)
  }
}

extension PeakSignalToNoiseRatio {
  /// JSON has no infinity, which equal pictures score.
  fileprivate var finite: Double? { value.flatMap { $0.isFinite ? $0 : nil } }
}

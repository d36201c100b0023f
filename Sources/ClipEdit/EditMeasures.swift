import EditSettings
import Tensor
import VideoEditing
import VideoFile

/// What an edit's pictures score, gathered as they come.
struct EditMeasures {
  private let source: Pictures
  private let truth: Pictures?
  private var reconstruction = PeakSignalToNoiseRatio()
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
    case .reconstructed: reconstruction.add(pictures, try source.read(frames))
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
    figures.reconstructionPSNR = reconstruction.finite
    figures.editPSNR = edit.finite
    figures.uneditedPSNR = unedited.finite
    figures.changedPSNR = changed.finite
    figures.changedUneditedPSNR = changedUnedited.finite
    figures.unchangedPSNR = unchanged.finite
  }
}

extension PeakSignalToNoiseRatio {
  /// JSON has no infinity, which equal pictures score.
  fileprivate var finite: Double? { value.flatMap { $0.isFinite ? $0 : nil } }
}

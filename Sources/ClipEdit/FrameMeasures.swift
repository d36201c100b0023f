import EditSettings
import Tensor
import VideoEditing

/// The peak signal-to-noise ratio of a clip's frames, of each and of all.
struct RatioByFrame {
  private var whole = PeakSignalToNoiseRatio()
  private var frames: [(frame: Int, value: Double)] = []

  /// - Parameters:
  ///   - frames: which these are.
  ///   - mask: as of `PeakSignalToNoiseRatio`, for all of them.
  mutating func add(
    _ pictures: Tensor, _ truth: Tensor, of frames: Range<Int>, mask: [Bool]? = nil
  ) {
    let pixels = pictures.shape[1] * pictures.shape[2]
    for (row, frame) in frames.enumerated() {
      var ratio = PeakSignalToNoiseRatio()
      ratio.add(
        pictures.rows(row..<row + 1), truth.rows(row..<row + 1),
        mask: mask.map { Array($0[row * pixels..<(row + 1) * pixels]) })
      whole.add(ratio)
      if let value = ratio.finite { self.frames.append((frame, value)) }
    }
  }

  /// In dB; `nil` where no pixel counted, or none differs: JSON has no infinity.
  var mean: Double? { whole.finite }

  /// - Returns: `nil` where no frame has a finite ratio.
  func curve(_ measure: String) -> MeasureCurve? { .frames(measure, frames) }
}

/// The structural similarity of a clip's frames, of each and of all.
struct SimilarityByFrame {
  private var whole = StructuralSimilarity()
  private var frames: [(frame: Int, value: Double)] = []

  mutating func add(_ pictures: Tensor, _ truth: Tensor, of frames: Range<Int>) {
    for (row, frame) in frames.enumerated() {
      var similarity = StructuralSimilarity()
      similarity.add(pictures.rows(row..<row + 1), truth.rows(row..<row + 1))
      whole.add(similarity)
      if let value = similarity.value { self.frames.append((frame, value)) }
    }
  }

  /// `nil` where no picture is large enough.
  var mean: Double? { whole.value }

  func curve(_ measure: String) -> MeasureCurve? { .frames(measure, frames) }
}

extension MeasureCurve {
  /// - Returns: `nil` of no values.
  static func frames(_ measure: String, _ values: [(frame: Int, value: Double)]) -> MeasureCurve? {
    guard !values.isEmpty else { return nil }
    return MeasureCurve(
      measure: measure, axis: .frame, positions: values.map(\.frame), values: values.map(\.value)
    ).thinned()
  }

  /// - Parameter values: clean to noisy.
  /// - Returns: `nil` of no values.
  static func timesteps(_ measure: String, _ values: [(timestep: Int, value: Double)])
    -> MeasureCurve?
  {
    guard !values.isEmpty else { return nil }
    return MeasureCurve(
      measure: measure, axis: .timestep, positions: values.map(\.timestep),
      values: values.map(\.value)
    ).thinned()
  }
}

extension PeakSignalToNoiseRatio {
  fileprivate var finite: Double? { value.flatMap { $0.isFinite ? $0 : nil } }
}

/// What a measure says along a clip, or along the time steps of its inversion: for pictures and
/// tables, where `EditFigures` has the mean.
public struct MeasureCurve: Codable, Sendable, Equatable {
  public enum Axis: String, Codable, Sendable {
    /// Frames, counted from 0.
    case frame
    /// Time steps of the model's training, clean to noisy.
    case timestep
  }

  /// As the figure of the same name, e.g. `edit_psnr`, in its unit.
  public var measure: String
  public var axis: Axis
  /// Ascending; where there is nothing to say, such as the dB of two equal pictures, one is left out.
  public var positions: [Int]
  /// As many as positions, all finite.
  public var values: [Double]

  public init(measure: String, axis: Axis, positions: [Int], values: [Double]) {
    precondition(
      positions.count == values.count, "\(values.count) values at \(positions.count) positions")
    (self.measure, self.axis) = (measure, axis)
    (self.positions, self.values) = (positions, values)
  }

  /// More points than a picture can show.
  public static let mostPoints = 512

  /// The curve in at most `most` points: each the mean of as many neighbours as the others, give or
  /// take one, at the position of the first of them.
  public func thinned(to most: Int = Self.mostPoints) -> MeasureCurve {
    guard values.count > most, most > 0 else { return self }
    var result = MeasureCurve(measure: measure, axis: axis, positions: [], values: [])
    for point in 0..<most {
      let range = point * values.count / most..<(point + 1) * values.count / most
      result.positions.append(positions[range.lowerBound])
      result.values.append(values[range].reduce(0, +) / Double(range.count))
    }
    return result
  }
}

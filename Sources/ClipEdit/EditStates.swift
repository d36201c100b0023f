import Tensor
import VideoEditing

/// States of an edit, by series and step, and how they lie in files.
///
/// Those of a file stay in it until they are taken, so that a clip of any length takes no memory.
struct EditStates {
  /// Series' names, steps from 0.
  private(set) var series: [String: [Int: EditState]] = [:]

  init() {}

  /// Takes in the states of a file; each tensor is named `SERIES/STEP/NAME`.
  /// - Throws: `CheckpointProblem`, `WeightsError`.
  mutating func add(_ file: SafetensorsFile) throws {
    for name in file.names {
      let parts = name.split(separator: "/", omittingEmptySubsequences: false)
      guard parts.count == 3, let step = Int(parts[1]), (0..<Self.mostSteps).contains(step),
        series[String(parts[0])]?[step]?[String(parts[2])] == nil
      else {
        throw CheckpointProblem("\(file.url.lastPathComponent) holds a tensor that is out of place")
      }
      series[String(parts[0]), default: [:]][step, default: [:]][String(parts[2])] =
        try file.tensor(name)
    }
  }

  var isEmpty: Bool { series.isEmpty }

  /// How many numbers they hold.
  var count: Int {
    series.values.lazy.flatMap(\.values).flatMap(\.values).reduce(0) { $0 + $1.count }
  }

  /// The names and tensors to write.
  var tensors: [String: Tensor] {
    var tensors: [String: Tensor] = [:]
    for (name, states) in series {
      for (step, state) in states {
        let digits = "\(step)"
        let padded = String(repeating: "0", count: max(0, 4 - digits.count)) + digits
        for (part, tensor) in state { tensors["\(name)/\(padded)/\(part)"] = tensor }
      }
    }
    return tensors
  }

  /// How many steps can be recalled.
  func steps(of series: EditSeries) -> Int {
    guard let states = self.series[series.name] else { return 0 }
    switch series.need {
    case .every: return (0...states.count).first { states[$0] == nil } ?? 0
    case .newest: return (states.keys.max() ?? -1) + 1
    }
  }

  mutating func add(_ state: EditState, _ series: EditSeries, _ step: Int) {
    if series.need == .newest { self.series[series.name] = [:] }
    self.series[series.name, default: [:]][step] = state
  }

  /// The state in memory of its own, which is no longer among these.
  mutating func take(_ series: EditSeries, _ step: Int) -> EditState? {
    self.series[series.name]?.removeValue(forKey: step)?.mapValues { tensor in
      defer { tensor.releasePages() }
      return tensor.copied()
    }
  }

  /// The states of these series alone.
  func only(_ chosen: [EditSeries]) -> EditStates {
    var states = EditStates()
    for name in chosen.map(\.name) { states.series[name] = series[name] }
    return states
  }

  private static let mostSteps = 1_000_000
}

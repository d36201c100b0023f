import EditSettings
import JobQueue

/// What has happened since the daemon's start.
struct ServiceCounters {
  /// What became of a worker that was at work.
  enum Loss: String, CaseIterable {
    case died, hung
    /// Somebody else ended it.
    case ended
  }

  var attempts = 0
  private(set) var finished: [JobState: Int] = [:]
  private(set) var quarantined = 0
  private(set) var seconds: [EditProgress.Stage: Double] = [:]
  private(set) var inversionsReused = 0
  private(set) var inversionsMade = 0
  private(set) var losses: [Loss: Int] = [:]

  mutating func count(_ state: JobState, isQuarantined: Bool = false, _ figures: EditFigures? = nil)
  {
    finished[state, default: 0] += 1
    if isQuarantined { quarantined += 1 }
    guard let figures else { return }
    for (name, value) in figures.seconds {
      if let stage = EditProgress.Stage(rawValue: name) { seconds[stage, default: 0] += value }
    }
    if figures.inversionReused { inversionsReused += 1 } else { inversionsMade += 1 }
  }

  mutating func count(_ loss: Loss) { losses[loss, default: 0] += 1 }
}

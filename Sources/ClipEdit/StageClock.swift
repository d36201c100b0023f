import EditSettings

/// Wall-clock seconds by stage.
final class StageClock {
  private var finished: [String: Double] = [:]
  private var current: (stage: EditProgress.Stage, since: ContinuousClock.Instant)?

  func enter(_ stage: EditProgress.Stage) {
    guard stage != current?.stage else { return }
    finished = seconds
    current = (stage, .now)
  }

  /// Adds what earlier attempts took.
  func add(_ seconds: [String: Double]) { finished.merge(seconds, uniquingKeysWith: +) }

  /// Up to now, rounded to milliseconds.
  var seconds: [String: Double] {
    var seconds = finished
    if let current {
      seconds[current.stage.rawValue, default: 0] +=
        (ContinuousClock.now - current.since) / .seconds(1)
    }
    return seconds.mapValues { ($0 * 1000).rounded() / 1000 }
  }
}

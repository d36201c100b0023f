import JobQueue

/// All jobs that are at work, as lines of a terminal that rewrite themselves; those that come to
/// their end are lines above, that stay.
struct WatchedJobs {
  private let live: LiveLines
  /// In the order in which they were accepted.
  private var running: [Job] = []
  /// How many jobs wait.
  var waiting = 0

  init(_ live: LiveLines) {
    self.live = live
    refresh()
  }

  mutating func take(_ job: Job) {
    running.removeAll { $0.id == job.id }
    if job.state.isFinal {
      live.say([Self.line(of: job)])
    } else if job.state == .running {
      running.append(job)
      running.sort { $0.id.rawValue < $1.id.rawValue }
    }
    refresh()
  }

  mutating func begin(with running: [Job]) {
    self.running = running
    refresh()
  }

  private func refresh() {
    live.show { [running, waiting] in
      Self.lines(running: running, waiting: waiting, columns: $0)
    }
  }

  /// A line for each running job, and one that counts those that wait.
  static func lines(running: [Job], waiting: Int, columns: Int) -> [StyledText] {
    let names = running.map { StyledText($0.name, .strong) }
    let width = min(names.map(\.width).max() ?? 0, max(8, columns / 4))
    let lines = zip(running, names).map { job, name in
      let label = StyledText(job.id.rawValue, .faint) + " " + name.cut(to: width).padded(to: width)
      let short = columns < 80 ? name.cut(to: width).padded(to: width) : label
      let room = columns - short.width - 2
      let progress = job.progress.map { ProgressFigures($0).line(columns: room) } ?? "begins"
      return short + "  " + progress
    }
    let count = waiting == 1 ? "1 job waits" : "\(waiting) jobs wait"
    return lines + [StyledText(running.isEmpty ? "no job runs, \(count)" : count, .faint)]
  }

  /// How a job ended.
  static func line(of job: Job) -> StyledText {
    let detail = job.detail
    return StyledText(job.id.rawValue, .faint) + " " + StyledText(job.name, .strong) + "  "
      + StyledText(job.state.rawValue, job.state.style)
      + (detail.isEmpty ? "" : "  " + StyledText(detail))
  }
}

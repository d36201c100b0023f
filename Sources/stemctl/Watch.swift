import ArgumentParser
import Foundation
import JobQueue
import Messaging

struct Watch: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show how a job fares until it is finished.",
    discussion:
      "Ends with success when the job is done, with 1 when it failed or was cancelled. Without a job, shows all jobs until interrupted."
  )

  @Argument(help: "The job's id. (default: all jobs)")
  var job: JobID?

  @Flag(help: "Print JSON: a job at every change, a line each.")
  var json = false

  @OptionGroup
  var daemon: DaemonOptions

  @OptionGroup
  var terminal: TerminalOptions

  func run() throws {
    let client = try daemon.client()
    let terminal = terminal.terminal(STDOUT_FILENO)
    if json {
      try client.printJSON(of: job)
    } else if let job {
      var line = ProgressLine(terminal)
      try line.follow(job, with: client, outbox: try daemon.outbox)
    } else if terminal.rewrites {
      try showAll(on: terminal, from: client)
    } else {
      var throttle = LineThrottle<JobID>()
      try client.events(of: nil) { job in
        if throttle.passes(job.id, milestone: job.milestone, at: .now) {
          // Lines are read while they come, also through a pipe.
          terminal.print([StyledText(job.line)])
        }
        return true
      }
    }
  }

  private func showAll(on terminal: Terminal, from client: ControlClient) throws {
    let lines = LiveLines(terminal)
    let interruption = lines.interruption()
    defer { withExtendedLifetime(interruption) { lines.finish() } }
    var jobs = WatchedJobs(lines)
    // The first one is listening.
    let other = try daemon.client()
    var counted = ContinuousClock.now
    func count() throws {
      counted = .now
      jobs.waiting = try other.daemon(.status(job: nil)).jobs[JobState.queued.rawValue] ?? 0
    }
    try client.events(of: nil) {
      // A watch of all jobs tells of changes alone.
      let filter = JobFilter(states: [.running], limit: JobFilter.longestList)
      guard case .jobs(let running, _) = try other.accepted(.list(filter)) else {
        throw CommandFailure.unexpectedAnswer
      }
      try count()
      jobs.begin(with: running)
    } receive: { job in
      if job.state != .running || .now - counted > .seconds(1) { try count() }
      jobs.take(job)
      return true
    }
  }
}

extension ControlClient {
  /// Prints a job as JSON at every change, until it is finished; all jobs, for ever, where it is
  /// `nil`.
  /// - Throws: `ExitCode` where the job does not end well; the line says why.
  func printJSON(of id: JobID?) throws {
    var last: Job?
    try events(of: id) { job in
      guard id.map({ $0 == job.id }) ?? true else { return true }
      last = job
      print(try jsonText(job))
      fflush(nil)
      return id == nil || !job.state.isFinal
    }
    if let last, last.state.isFinal, last.state != .done { throw ExitCode(1) }
  }
}

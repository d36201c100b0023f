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

  @OptionGroup
  var daemon: DaemonOptions

  func run() throws {
    let client = try daemon.client()
    if let job {
      var line = ProgressLine(descriptor: STDOUT_FILENO)
      try line.follow(job, with: client, outbox: try daemon.outbox)
    } else {
      var throttle = LineThrottle<JobID>()
      try client.events(of: nil) { job in
        if throttle.passes(job.id, milestone: job.milestone, at: .now) {
          print(job.line)
          // Lines are read while they come, also through a pipe.
          fflush(nil)
        }
        return true
      }
    }
  }
}

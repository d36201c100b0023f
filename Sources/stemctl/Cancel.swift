import ArgumentParser
import JobQueue
import Messaging

struct Cancel: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Stop a job, or take it out of the queue.")

  @Argument(help: "The job's id.")
  var job: JobID

  @OptionGroup
  var daemon: DaemonOptions

  func run() throws {
    let job = try daemon.client().job(.cancel(job: job))
    print(job.state == .cancelled ? "cancelled" : "cancelling")
  }
}

import ArgumentParser
import JobQueue
import Messaging

struct Retry: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a new job of one that failed or was cancelled, and print its id.")

  @Argument(help: "The job's id.")
  var job: JobID

  @Option(
    parsing: .unconditional, help: "-100 to 100; the greater ones begin first. (default: the job's)"
  )
  var priority: Int?

  @Option(help: "Your own name for the new job: repeating again under the same one makes no other.")
  var jobKey: String?

  @OptionGroup
  var daemon: DaemonOptions

  func run() throws {
    print(try daemon.client().job(.retry(job: job, key: jobKey, priority: priority)).id)
  }
}

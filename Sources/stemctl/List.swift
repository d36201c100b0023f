import ArgumentParser
import JobQueue
import Messaging

struct List: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List jobs in the order of their acceptance.")

  @Option(
    help: ArgumentHelp("Only jobs in this state; may be given several times.", valueName: "state"))
  var state: [JobState] = []

  @Option(help: "How many jobs at most, the newest.")
  var limit = 50

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup
  var daemon: DaemonOptions

  func validate() throws {
    if limit < 1 { throw ValidationError("--limit takes a whole number from 1 on, not \(limit).") }
  }

  func run() throws {
    let request = ControlRequest.list(states: state.isEmpty ? nil : state, limit: limit)
    guard case .jobs(let jobs) = try daemon.client().answer(to: request) else {
      throw CommandFailure.unexpectedAnswer
    }
    if json {
      print(try jsonText(jobs))
    } else {
      for job in jobs { print(job.line) }
    }
  }
}

extension JobState: ExpressibleByArgument {}

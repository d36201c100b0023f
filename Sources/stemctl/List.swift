import ArgumentParser
import Foundation
import JobQueue
import Messaging

struct List: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List jobs in the order of their acceptance.")

  @Option(
    help: ArgumentHelp("Only jobs in this state; may be given several times.", valueName: "state"))
  var state: [JobState] = []

  @Option(help: "Only jobs of this client, such as user:ada or key:studio.")
  var client: String?

  @Option(help: "Only jobs whose name begins so.")
  var name: String?

  @Option(help: "Only jobs before this one.")
  var before: JobID?

  @Option(help: "Only jobs after this one.")
  var after: JobID?

  @Option(help: "How many jobs at most, the newest.")
  var limit = 50

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup
  var daemon: DaemonOptions

  @OptionGroup
  var terminal: TerminalOptions

  func validate() throws {
    guard (1...JobFilter.longestList).contains(limit) else {
      throw ValidationError(
        "--limit takes a whole number from 1 to \(JobFilter.longestList), not \(limit).")
    }
  }

  func run() throws {
    let filter = JobFilter(
      states: state.isEmpty ? nil : state, client: client, name: name, after: after, before: before,
      limit: limit)
    guard case .jobs(let jobs, let more) = try daemon.client().accepted(.list(filter)) else {
      throw CommandFailure.unexpectedAnswer
    }
    if json {
      print(try jsonText(jobs))
    } else {
      let terminal = terminal.terminal(STDOUT_FILENO)
      terminal.print(jobs.table(now: Date()).lines(in: terminal.columns))
    }
    if more {
      if let first = jobs.first {
        FileHandle.standardError.write(
          Data("There are earlier ones: --before \(first.id) shows them.\n".utf8))
      }
    }
  }
}

extension JobState: ExpressibleByArgument {}

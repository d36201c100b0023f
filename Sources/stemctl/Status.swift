import ArgumentParser
import Foundation
import JobQueue
import Messaging

struct Status: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tell how a job, or the daemon as a whole, is doing.")

  @Argument(help: "The job's id. (default: the daemon)")
  var job: JobID?

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup
  var daemon: DaemonOptions

  @OptionGroup
  var terminal: TerminalOptions

  func run() throws {
    let terminal = terminal.terminal(STDOUT_FILENO)
    switch try daemon.client().accepted(.status(job: job)) {
    case .job(let job, _):
      if json { return print(try jsonText(job)) }
      let facts = job.facts(outbox: try daemon.outbox, now: Date())
      terminal.print(facts.lines(in: terminal.columns))
    case .daemon(let status):
      if json { return print(try jsonText(status)) }
      terminal.print(status.lines(in: terminal.columns, now: Date()))
    default:
      throw CommandFailure.unexpectedAnswer
    }
  }
}

/// One line of JSON, as on the wire.
func jsonText(_ value: some Encodable) throws -> String {
  String(decoding: try MessageCoding.encode(value), as: UTF8.self)
}

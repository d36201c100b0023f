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

  func run() throws {
    switch try daemon.client().accepted(.status(job: job)) {
    case .job(let job, _):
      print(json ? try jsonText(job) : job.description(outbox: try daemon.outbox, now: Date()))
    case .daemon(let status):
      print(json ? try jsonText(status) : status.text(now: Date()))
    default:
      throw CommandFailure.unexpectedAnswer
    }
  }
}

/// One line of JSON, as on the wire.
func jsonText(_ value: some Encodable) throws -> String {
  String(decoding: try MessageCoding.encode(value), as: UTF8.self)
}

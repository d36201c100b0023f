import ArgumentParser
import Foundation
import Messaging

struct Workers: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the workers, and what each is doing.")

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup
  var daemon: DaemonOptions

  func run() throws {
    guard case .workers(let workers) = try daemon.client().accepted(.workers) else {
      throw CommandFailure.unexpectedAnswer
    }
    print(json ? try jsonText(workers) : table(workers.map { ($0.name, $0.text) }))
  }
}

extension WorkerStatus {
  var text: String {
    let doing = job.map { "\($0)" + (progress.map { ": \($0.text)" } ?? "") } ?? "idle"
    let threads = threads == 1 ? "1 thread" : "\(threads) threads"
    return "\(doing) (process \(pid)\(remote ? " elsewhere" : ""), \(threads))"
  }
}

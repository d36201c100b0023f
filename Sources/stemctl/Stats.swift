import ArgumentParser
import EditSettings
import Foundation
import Messaging

struct Stats: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tell what the daemon has done since its store was made.")

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup
  var daemon: DaemonOptions

  func run() throws {
    guard case .stats(let statistics) = try daemon.client().accepted(.stats) else {
      throw CommandFailure.unexpectedAnswer
    }
    print(json ? try jsonText(statistics) : statistics.text)
  }
}

extension ServiceStatistics {
  var text: String {
    var rows = store.jobs.sorted { $0.key < $1.key }.map { ($0.key, "\($0.value)") }
    rows.append(("attempts", "\(store.attempts)"))
    if let seconds = store.oldestQueuedSeconds {
      rows.append(("oldest queued", durationText(seconds: seconds)))
    }
    rows += store.clients.sorted { $0.key < $1.key }.map {
      ($0.key, "\($0.value.queued) queued, \($0.value.running) running")
    }
    rows += EditProgress.Stage.allCases.compactMap { stage in
      store.seconds[stage.rawValue].map { ("time to \(stage.rawValue)", durationText(seconds: $0)) }
    }
    rows.append(("inversions reused", "\(store.inversionsReused)"))
    rows.append(("uploads open", "\(uploads)"))
    if eventsMissed > 0 { rows.append(("events missed by slow watchers", "\(eventsMissed)")) }
    return table(rows)
  }
}

import EditSettings
import Foundation
import JobQueue
import Messaging

extension DaemonStatus {
  /// What the daemon is doing, and its workers where it tells of them.
  func lines(in room: Int?, now: Date) -> [StyledText] {
    var facts = Facts()
    facts.add("stemd", "\(version), process \(pid), since \(started.text(now: now))")
    facts.add("mode", StyledText(mode.rawValue, mode.style))
    facts.add("jobs", jobCounts)
    guard let workers else { return facts.lines(in: room) }
    guard !workers.isEmpty else {
      facts.add("workers", StyledText("none", .caution))
      return facts.lines(in: room)
    }
    return facts.lines(in: room) + [""] + workers.table.lines(in: room)
  }

  /// `3 queued, 1 running`.
  var jobCounts: StyledText {
    let counts = JobState.allCases.compactMap { state in
      jobs[state.rawValue].flatMap {
        $0 > 0 ? StyledText("\($0) \(state.rawValue)", state.style) : nil
      }
    }
    return counts.isEmpty ? "none" : counts.joined(separator: ", ")
  }
}

extension DaemonMode {
  var style: Style { self == .running ? .plain : .caution }
}

extension [WorkerStatus] {
  /// A worker a row.
  var table: Table {
    Table(
      columns: [
        .init("WORKER", least: 8), .init("JOB"), .init("DOING", least: 24),
        .init("THREADS", isNumber: true, dispensable: 1),
        .init("PROCESS", isNumber: true, dispensable: 2),
        .init("WHERE", dispensable: 3),
      ],
      rows: map { worker in
        [
          StyledText(worker.name), StyledText(worker.job?.rawValue ?? "–"),
          worker.job == nil
            ? StyledText("idle", .faint)
            : StyledText(worker.progress.map { ProgressFigures($0).text } ?? "begins", .active),
          StyledText("\(worker.threads)"), StyledText("\(worker.pid)"),
          StyledText(worker.remote ? "elsewhere" : "here"),
        ]
      })
  }
}

extension ServiceStatistics {
  func lines(in room: Int?) -> [StyledText] {
    var facts = Facts()
    facts.add("attempts", "\(store.attempts)")
    facts.add("oldest queued", store.oldestQueuedSeconds.map { durationText(seconds: $0) })
    facts.add("inversions reused", "\(store.inversionsReused)")
    facts.add("uploads open", "\(uploads)")
    if eventsMissed > 0 { facts.add("events missed by slow watchers", "\(eventsMissed)") }

    let states = Table(
      columns: [.init("STATE"), .init("JOBS", isNumber: true)],
      rows: JobState.allCases.map { state in
        [
          StyledText(state.rawValue, state.style), StyledText("\(store.jobs[state.rawValue] ?? 0)"),
        ]
      })
    let clients = Table(
      columns: [
        .init("CLIENT", least: 8), .init("QUEUED", isNumber: true),
        .init("RUNNING", isNumber: true),
      ],
      rows: store.clients.sorted { $0.key < $1.key }.map {
        [StyledText($0.key), StyledText("\($0.value.queued)"), StyledText("\($0.value.running)")]
      })
    let whole = store.seconds.values.reduce(0, +)
    let stages = Table(
      columns: [.init("STAGE"), .init("TIME", isNumber: true), .init("SHARE", isNumber: true)],
      rows: EditProgress.Stage.allCases.compactMap { stage in
        store.seconds[stage.rawValue].map { seconds in
          [
            StyledText(stage.rawValue), StyledText(durationText(seconds: seconds)),
            StyledText(whole > 0 ? percentage(seconds / whole) : "–"),
          ]
        }
      })
    return [states, clients, stages].filter { !$0.rows.isEmpty }.flatMap {
      $0.lines(in: room) + [""]
    }
      + facts.lines(in: room)
  }
}

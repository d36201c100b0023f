import EditSettings
import Foundation
import JobQueue
import Journal
import Messaging

/// A snapshot as lines of a screen.
struct TopScreen {
  let snapshot: TopSnapshot
  let now: Date

  /// - Parameters:
  ///   - columns: of the terminal; `nil` for as many as it takes.
  ///   - rows: of the terminal; `nil` for as many as it takes.
  /// - Returns: at most as many lines as there are rows, none wider than the columns.
  func lines(columns: Int?, rows: Int?) -> [StyledText] {
    let head = head(columns)
    // A line before each part, and the one that says which key ends it.
    let room = rows.map { max(0, $0 - head.count - 1) } ?? .max
    let (workers, waiting, ended) = shares(of: room)
    var lines = head
    for (table, rest) in [
      workersTable(workers), waitingTable(waiting), endedTable(ended),
    ] where !table.rows.isEmpty {
      lines += [""] + table.lines(in: columns)
      if rest > 0 { lines.append(StyledText("  and \(rest) more", .faint)) }
    }
    guard let rows else { return lines }
    lines = Array(lines.prefix(max(0, rows - 1)))
    lines += Array(repeating: "", count: max(0, rows - 1 - lines.count))
    lines.append(StyledText("q quits", .faint))
    return lines.suffix(rows).map { line in columns.map { line.cut(to: $0) } ?? line }
  }

  // MARK: The head

  private func head(_ columns: Int?) -> [StyledText] {
    let status = snapshot.status
    let up = durationText(seconds: now.timeIntervalSince(status.started))
    let title =
      StyledText("stemd \(status.version)", .strong) + "  "
      + StyledText(status.mode.rawValue, status.mode == .running ? .good : .caution)
      + "  up \(up)"
    let clock = StyledText(now.text(now: now), .faint)
    let gap = (columns ?? 0) - title.width - clock.width
    var lines = [gap > 1 ? title + StyledText(String(repeating: " ", count: gap)) + clock : title]
    let counts = JobState.allCases.map { state in
      let count = status.jobs[state.rawValue] ?? 0
      return StyledText("\(count) \(state.rawValue)", count > 0 ? state.style : .faint)
    }
    var line = counts.joined(separator: "  ")
    if let oldest = snapshot.waiting.first {
      let waited = durationText(seconds: now.timeIntervalSince(oldest.submitted))
      let text = StyledText("the oldest has waited \(waited)")
      if columns.map({ line.width + 2 + text.width <= $0 }) ?? true {
        line += "  " + text
      } else {
        lines.append(line)
        line = text
      }
    }
    lines.append(line)
    if let failure = snapshot.failure {
      let since = durationText(seconds: now.timeIntervalSince(snapshot.taken))
      let text = StyledText("for \(since) trying again: \(failure)", .bad)
      lines += columns.map { text.wrapped(to: $0) } ?? [text]
    }
    return lines.map { line in columns.map { line.cut(to: $0) } ?? line }
  }

  // MARK: The parts

  /// How many rows each part gets: the workers come first, but leave the others a few.
  private func shares(of room: Int) -> (workers: Int, waiting: Int, ended: Int) {
    // A blank line and headings come with each.
    func whole(_ count: Int) -> Int { count == 0 ? 0 : count + 2 }
    let few = 4
    let all = (workers: workers.count, waiting: snapshot.waiting.count, ended: ended.count)
    guard room < .max else { return (all.workers, min(all.waiting, 10), min(all.ended, 10)) }
    func rows(_ room: Int, _ count: Int) -> Int {
      guard count > 0, room > 2 else { return 0 }
      // What is left out is counted on a line of its own.
      return count <= room - 2 ? count : max(0, room - 3)
    }
    let reserved = whole(min(all.waiting, few)) + whole(min(all.ended, few))
    let forWorkers = rows(max(min(room, whole(2)), room - reserved), all.workers)
    func used(_ shown: Int, _ count: Int) -> Int { whole(shown) + (shown < count ? 1 : 0) }
    var left = room - used(forWorkers, all.workers)
    let forWaiting = rows(max(0, left - whole(min(all.ended, few))), all.waiting)
    if forWaiting > 0 { left -= used(forWaiting, all.waiting) }
    // The past has no end: what is left out of it is not counted.
    return (forWorkers, forWaiting, min(all.ended, max(0, left - 2)))
  }

  /// The busy ones first. Who may not know of workers sees the jobs that run.
  private var workers: [WorkerStatus] {
    let known =
      snapshot.status.workers
      ?? snapshot.running.map {
        WorkerStatus(
          name: $0.worker ?? "–", pid: 0, threads: 0, remote: true, job: $0.id,
          progress: $0.progress)
      }
    return known.filter { $0.job != nil } + known.filter { $0.job == nil }
  }

  private func workersTable(_ rows: Int) -> (Table, rest: Int) {
    let clips = Dictionary(snapshot.running.map { ($0.id, $0.name) }) { $1 }
    let table = Table(
      columns: [
        .init("WORKER", least: 8), .init("JOB", dispensable: 4), .init("CLIP", least: 8),
        .init("STAGE", least: 12), .init("", dispensable: 3), .init("DONE", isNumber: true),
        .init("LEFT", isNumber: true), .init("MEMORY", isNumber: true),
      ],
      rows: workers.prefix(rows).map { worker in
        let figures = worker.progress.map { ProgressFigures($0) }
        let stage =
          worker.job == nil
          ? StyledText("idle", .faint) : StyledText(figures?.stageText ?? "begins", .active)
        let age = now.timeIntervalSince(snapshot.taken)
        return [
          StyledText(worker.name), StyledText(worker.job?.rawValue ?? ""),
          StyledText(worker.job.flatMap { clips[$0] } ?? ""), stage,
          figures?.share.map { progressBar($0, columns: 20) } ?? "",
          StyledText(figures?.share.map(percentage) ?? ""),
          StyledText(figures?.secondsLeft.map { clockText(seconds: $0 - age) } ?? ""),
          StyledText(snapshot.memory[worker.pid].map(byteText) ?? ""),
        ]
      })
    return (table, workers.count - table.rows.count)
  }

  private func waitingTable(_ rows: Int) -> (Table, rest: Int) {
    let jobs = snapshot.waiting.prefix(rows)
    let table = Table(
      columns: [
        .init("WAITING"), .init("CLIP", least: 8),
        .init("CLIENT", least: 8, dispensable: 1),
        .init("PRIORITY", isNumber: true, dispensable: 2),
        .init("FOR", isNumber: true), .init("", least: 8, dispensable: 3),
      ],
      rows: jobs.map { job in
        [
          StyledText(job.id.rawValue), StyledText(job.name), StyledText(job.client),
          StyledText("\(job.priority)"),
          StyledText(roughText(seconds: now.timeIntervalSince(job.submitted))),
          StyledText(job.detail, .faint),
        ]
      })
    let queued = snapshot.status.jobs[JobState.queued.rawValue] ?? 0
    return (table, max(queued, snapshot.waiting.count) - table.rows.count)
  }

  /// The last ones to end first.
  private var ended: [Job] {
    snapshot.ended.sorted { ($0.finished ?? .distantPast) > ($1.finished ?? .distantPast) }
  }

  private func endedTable(_ rows: Int) -> (Table, rest: Int) {
    let table = Table(
      columns: [
        .init("ENDED"), .init("CLIP", least: 8), .init("STATE"),
        .init("AGO", isNumber: true), .init("DETAIL", least: 12),
      ],
      rows: ended.prefix(rows).map { job in
        [
          StyledText(job.id.rawValue), StyledText(job.name),
          StyledText(job.state.rawValue, job.state.style),
          StyledText(
            job.finished.map { roughText(seconds: now.timeIntervalSince($0)) } ?? ""),
          StyledText(job.detail, job.state == .failed ? .bad : .plain),
        ]
      })
    return (table, 0)
  }
}

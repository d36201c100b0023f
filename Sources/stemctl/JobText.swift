import EditSettings
import Foundation
import JobQueue
import Journal
import Messaging

extension Job {
  /// `invert 12/50 · 16 frames · 1 min 20 s left`, `queued`, `failed: …`.
  var statusText: String {
    switch state {
    case .queued:
      attempts > 0
        ? "queued again after \(attempts == 1 ? "1 attempt" : "\(attempts) attempts")" : "queued"
    case .running: progress?.text ?? "running"
    case .done: "done"
    case .failed:
      (isQuarantined ? "failed, quarantined" : "failed") + (error.map { ": \($0)" } ?? "")
    case .cancelled: "cancelled"
    }
  }

  /// What of `statusText` is always news.
  var milestone: String {
    state == .running
      ? "running \(progress?.stage.rawValue ?? "")" : "\(state.rawValue) \(attempts)"
  }

  /// One line of a list.
  var line: String {
    let shownName = outboxName.map { $0 == name ? name : "\(name) (outbox: \($0))" } ?? name
    let text = state == .running ? "running: \(statusText)" : statusText
    return "\(id)  \(shownName)  \(text)".escapingControlCharacters()
  }

  /// Everything about the job, a line each.
  func description(outbox: URL?, now: Date) -> String {
    var rows: [(String, String)] = [
      ("job", id.rawValue), ("clip", sourceName), ("client", client), ("state", state.rawValue),
    ]
    if let key { rows.append(("key", key)) }
    if priority != 0 { rows.append(("priority", "\(priority)")) }
    if let retryOf { rows.append(("repeats", retryOf.rawValue)) }
    if attempts > 1 { rows.append(("attempts", "\(attempts)")) }
    if let worker, state == .running { rows.append(("worker", worker)) }
    if let progress, state == .running { rows.append(("progress", progress.text)) }
    if let settings {
      rows.append(("prompt", settings.prompt))
      if !settings.sourcePrompt.isEmpty { rows.append(("source", settings.sourcePrompt)) }
      rows.append(
        (
          "method",
          "\(settings.method.rawValue) after \(settings.inversion.rawValue), \(settings.steps) steps"
        ))
      if let frames = settings.framesText { rows.append(("frames", frames)) }
      if let precision = settings.precision { rows.append(("precision", precision.rawValue)) }
    }
    rows.append(("submitted", submitted.text(now: now)))
    if let started { rows.append(("started", started.text(now: now))) }
    if let finished {
      let took =
        started.map { ", after \(durationText(seconds: finished.timeIntervalSince($0)))" } ?? ""
      rows.append(("finished", finished.text(now: now) + took))
    }
    if let error { rows.append(("error", error)) }
    if let outboxName {
      rows.append(
        ("result", outbox?.appending(path: outboxName).path(percentEncoded: false) ?? outboxName))
    }
    return table(rows)
  }
}

extension DaemonStatus {
  func text(now: Date) -> String {
    var rows = [("stemd", "\(version), process \(pid), since \(started.text(now: now))")]
    if mode != .running { rows.append(("mode", mode.rawValue)) }
    let counts = JobState.allCases.compactMap { state in
      jobs[state.rawValue].flatMap { $0 > 0 ? "\($0) \(state.rawValue)" : nil }
    }
    rows.append(("jobs", counts.isEmpty ? "none" : counts.joined(separator: ", ")))
    guard let workers else { return table(rows) }
    rows += workers.map { ($0.name, $0.text) }
    if workers.isEmpty { rows.append(("workers", "none")) }
    return table(rows)
  }
}

/// Two columns; what is shown may be a stranger's text.
func table(_ rows: [(String, String)]) -> String {
  let rows = rows.map { ($0.escapingControlCharacters(), $1.escapingControlCharacters()) }
  let width = rows.map(\.0.count).max() ?? 0
  return rows.map { $0.padding(toLength: width, withPad: " ", startingAt: 0) + "  " + $1 }.joined(
    separator: "\n")
}

extension Date {
  /// Local time, with the day where it is not today.
  fileprivate func text(now: Date) -> String {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.dateFormat =
      Calendar.current.isDate(self, inSameDayAs: now) ? "HH:mm:ss" : "yyyy-MM-dd HH:mm:ss"
    return formatter.string(from: self)
  }
}

extension EditSettings {
  /// Which of the clip's frames are edited; `nil` for all.
  fileprivate var framesText: String? {
    var parts: [String] = []
    if let frames { parts.append("\(frames)") }
    if start > 0 { parts.append("from \(String(format: "%g", start)) s on") }
    if every > 1 { parts.append("one of \(every)") }
    return parts.isEmpty ? nil : parts.joined(separator: ", ")
  }
}

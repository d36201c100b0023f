import EditSettings
import Foundation
import JobQueue
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

  /// One line of a watch of all jobs.
  var line: String {
    let shownName = outboxName.map { $0 == name ? name : "\(name) (outbox: \($0))" } ?? name
    return "\(id)  \(shownName)  \(state == .running ? "running: \(statusText)" : statusText)"
  }

  /// What there is to say besides its state.
  var detail: String {
    switch state {
    case .queued:
      return attempts == 0
        ? "" : "again, after \(attempts == 1 ? "1 attempt" : "\(attempts) attempts")"
    case .running: return progress.map { ProgressFigures($0).text } ?? ""
    case .done, .cancelled:
      let parts = [
        took.map { "in \(durationText(seconds: $0))" },
        outboxName.flatMap { $0 == name ? nil : "as \($0)" },
      ]
      return parts.compactMap(\.self).joined(separator: ", ")
    case .failed: return (isQuarantined ? "quarantined: " : "") + (error ?? "")
    }
  }

  /// Seconds from the first attempt's beginning to the end.
  var took: Double? {
    guard state == .done, let started, let finished, finished >= started else { return nil }
    return finished.timeIntervalSince(started)
  }

  /// Everything about the job.
  func facts(outbox: URL?, now: Date) -> Facts {
    var facts = Facts()
    facts.add("job", id.rawValue)
    facts.add("clip", sourceName)
    facts.add("client", client)
    facts.add("state", StyledText(state.rawValue, state.style))
    facts.add("key", key)
    if priority != 0 { facts.add("priority", "\(priority)") }
    facts.add("repeats", retryOf?.rawValue)
    if attempts > 1 { facts.add("attempts", "\(attempts)") }
    if state == .running {
      facts.add("worker", worker)
      facts.add("progress", progress?.text)
    }
    if let settings {
      facts.add("prompt", settings.prompt)
      if !settings.sourcePrompt.isEmpty { facts.add("source", settings.sourcePrompt) }
      facts.add(
        "method",
        "\(settings.method.rawValue) after \(settings.inversion.rawValue), \(settings.steps) steps")
      facts.add("frames", settings.framesText)
      facts.add("precision", settings.precision?.rawValue)
    }
    facts.add("submitted", submitted.text(now: now))
    facts.add("started", started?.text(now: now))
    if let finished {
      let took =
        started.map { ", after \(durationText(seconds: finished.timeIntervalSince($0)))" } ?? ""
      facts.add("finished", finished.text(now: now) + took)
    }
    facts.add("error", error.map { StyledText($0, .bad) })
    facts.add(
      "result",
      outboxName.map { outbox?.appending(path: $0).path(percentEncoded: false) ?? $0 })
    return facts
  }
}

extension [Job] {
  /// A job a row.
  func table(now: Date) -> Table {
    Table(
      columns: [
        .init("JOB"), .init("CLIP", least: 8), .init("STATE"),
        .init("CLIENT", least: 8, dispensable: 2), .init("SUBMITTED", dispensable: 1),
        .init("DETAIL", least: 24),
      ],
      rows: map { job in
        [
          StyledText(job.id.rawValue), StyledText(job.name),
          StyledText(job.state.rawValue, job.state.style), StyledText(job.client),
          StyledText(job.submitted.text(now: now)),
          StyledText(job.detail, job.state == .failed ? .bad : .plain),
        ]
      })
  }
}

extension ProgressFigures {
  /// `31% · 1:20 left · invert 12/50`: for a table, which may cut off its end.
  var text: String {
    [
      share.map(percentage), secondsLeft.map { "\(clockText(seconds: $0)) left" }, stageText,
    ].compactMap(\.self).joined(separator: " · ")
  }
}

extension Date {
  /// Local time, with the day where it is not today.
  func text(now: Date) -> String {
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

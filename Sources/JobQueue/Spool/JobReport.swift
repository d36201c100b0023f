import EditReport
import EditSettings
import Foundation

/// `report.html` of a job that has none from its worker: one that did not come to an edit.
struct JobReport {
  var record: JobRecord
  /// Its end.
  var log: String

  var page: EditReport {
    let settings = record.editSettings
    var page = EditReport(title: record.name, outcome: outcome, settings: settings)
    page.facts = settings?.facts ?? []
    page.sidecar = settings?.sidecarText
    page.figures = record.figures.flatMap {
      try? JSONDecoder().decode(EditFigures.self, from: Data($0.utf8))
    }
    page.log = log
    page.origin = origin
    return page
  }

  private var outcome: EditReport.Outcome {
    switch record.state {
    case JobState.done.rawValue: return .done
    case JobState.cancelled.rawValue:
      return .cancelled(
        place: record.stoppedAt.map { "It was at: \($0)." }
          ?? (record.attempts == 0 ? "It had not begun." : nil),
        advice: ["'stemctl retry \(record.id)' makes a new job of it."])
    default:
      let attempts = record.attempts == 1 ? "its only attempt" : "attempt \(record.attempts)"
      return .failed(
        reason: (record.error ?? "it failed") + ".",
        place: record.attempts == 0
          ? "No worker began it."
          : "That was in \(attempts)\(record.stoppedAt.map { ", at: \($0)." } ?? ".")",
        advice: advice)
    }
  }

  private var advice: [String] {
    if record.isQuarantined {
      return [
        "It failed again and again for reasons that may pass: see its log below, and the daemon's journal (journalctl -u stemd JOB=\(record.id)).",
        "When they have passed, 'stemctl retry \(record.id)' tries it again.",
      ]
    }
    var mend = [
      "Mend what the sentence above names, in the clip or in its sidecar, and drop both into the inbox again."
    ]
    if record.stoppedAt == EditProgress.Stage.decode.rawValue {
      mend.append(
        "'ffprobe CLIP' tells what a clip is. A copy that broke off must be made again; what is coded in an unusual way can often be read after 'ffmpeg -i CLIP new.mp4'."
      )
    }
    guard record.editSettings != nil else { return mend }
    return mend + [
      "Where nothing of them was wrong, 'stemctl retry \(record.id)' tries the same again."
    ]
  }

  private var origin: [EditReport.Fact] {
    func time(_ date: Date?) -> String? {
      date?.formatted(Date.ISO8601FormatStyle())
    }
    let facts: [(String, String?)] = [
      ("Job", record.id), ("Clip", record.sourceName), ("From", record.client),
      ("Submitted", time(record.submitted)), ("Begun", time(record.started)),
      ("Ended", time(record.finished)), ("Program", "stemd \(ProgramVersion.text)"),
    ]
    return facts.compactMap { name, value in
      value.flatMap { $0.isEmpty ? nil : EditReport.Fact(name, $0) }
    }
  }
}

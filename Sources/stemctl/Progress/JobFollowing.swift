import Foundation
import JobQueue
import Messaging

extension ProgressLine {
  /// Shows a job until it is finished.
  /// - Throws: `CommandFailure` if it ends in any way but done.
  /// - Parameter outbox: Where results appear; `nil` for a daemon on another machine.
  mutating func follow(_ id: JobID, with client: ControlClient, outbox: URL?) throws {
    let interruption = interruption()
    defer { withExtendedLifetime(interruption) { finish() } }
    var last: Job?
    do {
      try client.events(of: id) { job in
        guard job.id == id else { return true }
        last = job
        show(job)
        return !job.state.isFinal
      }
    } catch let refusal as Refusal {
      throw client.failure(refusal, of: .watch(job: id))
    }
    finish()
    guard let job = last else { return }
    let folder = job.outboxName.map {
      outbox?.appending(path: $0).path(percentEncoded: false)
        ?? "'stemctl fetch \(id) --output FOLDER' copies the result"
    }
    switch job.state {
    case .done:
      if let folder { terminal.print([StyledText(folder)]) }
    case .failed:
      throw CommandFailure(
        (job.error ?? "The job failed: its log says why")
          + (outbox == nil ? "" : folder.map { "; its log is in \($0)" } ?? ""))
    case .cancelled:
      throw CommandFailure(
        "The job was cancelled: 'stemctl retry \(id)' makes a new one of it.")
    case .queued, .running:
      break
    }
  }

  mutating func show(_ job: Job) {
    if job.state == .running, let progress = job.progress {
      show(ProgressFigures(progress), text: job.statusText)
    } else {
      show(StyledText(job.statusText, job.state.style), milestone: job.milestone)
    }
  }
}

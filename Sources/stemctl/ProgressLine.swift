import Foundation
import JobQueue
import Journal
import Messaging

/// Shows where an edit is: on a terminal as one line that rewrites itself, elsewhere as a line for
/// every stage and now and then between.
struct ProgressLine {
  private let descriptor: Int32
  private let isTerminal: Bool
  private var throttle = LineThrottle<Int>()
  private var isDirty = false

  init(descriptor: Int32) {
    self.descriptor = descriptor
    isTerminal = isatty(descriptor) == 1
  }

  /// - Parameter milestone: What is always worth a line of its own where lines are not rewritten,
  ///   such as the stage.
  mutating func show(_ text: String, milestone: String) {
    let text = text.escapingControlCharacters()
    if isTerminal {
      write("\r\u{1B}[K" + String(text.prefix(width)))
      isDirty = true
    } else if throttle.passes(0, milestone: milestone, at: .now) {
      write(text + "\n")
    }
  }

  /// Leaves the last text standing; what follows begins on a line of its own.
  mutating func finish() {
    if isDirty { write("\n") }
    isDirty = false
  }

  /// Shows a job until it is finished.
  /// - Throws: `CommandFailure` if it ends in any way but done.
  /// - Parameter outbox: Where results appear; `nil` for a daemon on another machine.
  mutating func follow(_ id: JobID, with client: ControlClient, outbox: URL?) throws {
    defer { finish() }
    var last: Job?
    try client.events(of: id) { job in
      guard job.id == id else { return true }
      last = job
      show(job.statusText, milestone: job.milestone)
      return !job.state.isFinal
    }
    finish()
    guard let job = last else { return }
    let folder = job.outboxName.map {
      outbox?.appending(path: $0).path(percentEncoded: false)
        ?? "'stemctl fetch \(id) --output FOLDER' copies the result"
    }
    switch job.state {
    case .done:
      if let folder { write(folder.escapingControlCharacters() + "\n") }
    case .failed:
      throw CommandFailure(
        (job.error ?? "The job failed.")
          + (outbox == nil ? "" : folder.map { "; its log is in \($0)" } ?? ""))
    case .cancelled:
      throw CommandFailure("The job was cancelled.")
    case .queued, .running:
      break
    }
  }

  /// Columns that a line may take without going over to the next.
  private var width: Int {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 1 else { return 79 }
    return Int(size.ws_col) - 1
  }

  private func write(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count > 0 {
        bytes = bytes.dropFirst(count)
      } else if errno != EINTR {
        return
      }
    }
  }
}

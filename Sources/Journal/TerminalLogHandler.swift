import Foundation
import Logging

/// Writes log lines to standard error for a person: `12:34:56 notice stemd: message job=… clip=…`.
public struct TerminalLogHandler: LogHandler {
  public var metadata: Logger.Metadata
  public var logLevel: Logger.Level
  private let program: String
  private let descriptor: Int32

  public init(
    program: String, logLevel: Logger.Level = .info, metadata: Logger.Metadata = [:],
    descriptor: Int32 = STDERR_FILENO
  ) {
    self.descriptor = descriptor
    self.program = program
    self.logLevel = logLevel
    self.metadata = metadata
  }

  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  public func log(event: LogEvent) {
    var bytes = Array(
      (line(for: event, time: time(nil), coloured: isatty(descriptor) == 1) + "\n").utf8)[...]
    // One write a line wherever the system lets it be, so that the lines of two processes on one
    // terminal do not mix.
    while !bytes.isEmpty {
      let written = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      if written > 0 {
        bytes = bytes.dropFirst(written)
      } else if errno != EINTR {
        return
      }
    }
  }

  func line(for event: LogEvent, time: time_t, coloured: Bool) -> String {
    var time = time
    var local = tm()
    localtime_r(&time, &local)
    func twoDigits(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let clock = "\(twoDigits(local.tm_hour)):\(twoDigits(local.tm_min)):\(twoDigits(local.tm_sec))"

    var line =
      "\(clock) \(event.level) \(program): \(event.message.description.escapingControlCharacters())"
    let metadata = metadata.merging(event.metadata ?? [:]) { _, ofLine in ofLine }
    // The number of an event's kind is for the journal's catalog.
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) where key != JournalEvent.key {
      let text = value.description.escapingControlCharacters()
      line +=
        " \(key.escapingControlCharacters())="
        + (text.isEmpty || text.contains(" ") ? "“\(text)”" : text)
    }
    guard coloured, event.level >= .warning else { return line }
    return "\u{1B}[\(event.level == .warning ? 33 : 31)m\(line)\u{1B}[0m"
  }
}

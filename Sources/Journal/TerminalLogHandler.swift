import Foundation
import Logging

/// Writes log lines to standard error for a person: `12:34:56 notice stemd: message [job … · clip.mp4
/// · worker-1]`.
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

    let message = event.message.description.escapingControlCharacters()
    var line = "\(clock) \(event.level) \(program): \(message)"
    let about = Self.brief(metadata.merging(event.metadata ?? [:]) { $1 }, besides: message)
    if !about.isEmpty { line += " [\(about.joined(separator: " · "))]" }
    guard coloured, event.level >= .warning else { return line }
    return "\u{1B}[\(event.level == .warning ? 33 : 31)m\(line)\u{1B}[0m"
  }

  /// What a line is about, in this order, is known by its value alone; but a job's is a number.
  private static let subjects = ["job", "clip", "worker"]
  /// What only programs ask for.
  private static let unseen: Set = ["address", "client", "key", "stage", JournalEvent.key]

  /// - Parameter message: says some of it already.
  private static func brief(_ metadata: Logger.Metadata, besides message: String) -> [String] {
    func text(_ value: Logger.Metadata.Value) -> String {
      value.description.escapingControlCharacters()
    }
    let known = subjects.compactMap { key in
      metadata[key].map(text).flatMap {
        message.contains($0) ? nil : key == "job" ? "job \($0)" : $0
      }
    }
    let others = metadata.filter { !subjects.contains($0.key) && !unseen.contains($0.key) }
    return known
      + others.sorted { $0.key < $1.key }.map {
        "\($0.key.escapingControlCharacters()) \(text($0.value))"
      }
  }
}

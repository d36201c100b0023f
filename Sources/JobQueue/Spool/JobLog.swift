import Foundation

/// The log that travels with a job into the outbox: one line an event, `2026-01-31T12:00:00.000Z
/// info text`.
public enum JobLog {
  static let fileName = "job.log"

  /// Appends a line; line breaks and control characters of `message` are escaped.
  /// - Throws: `FileError`
  public static func append(
    _ message: String, level: String = "info", toResultFolder folder: String, now: Date = Date()
  ) throws {
    let time = now.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    try FileSystem.append("\(time) \(level) \(displayLine(message))\n", to: folder + "/" + fileName)
  }
}

extension Spool {
  /// Appends a line to the log of a job that is not delivered yet.
  /// - Throws: `FileError`
  public func log(_ message: String, level: String = "info", job: JobID) throws {
    try JobLog.append(message, level: level, toResultFolder: folders.resultFolder(job))
  }
}

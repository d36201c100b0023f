import Foundation

/// The log that travels with a job into the outbox: one line an event, `2026-01-31T12:00:00.000Z
/// info text`.
public enum JobLog {
  static let fileName = "job.log"
  /// Bytes that a page shows of a log at most.
  private static let longestEnd = 16 << 10

  /// The last whole lines; empty where there are none.
  static func end(inResultFolder folder: String) -> String {
    let path = folder + "/" + fileName
    guard let size = try? FileSystem.status(path)?.size,
      let (bytes, _) = try? FileSystem.readPart(
        path, offset: max(0, Int(size) - longestEnd), length: longestEnd)
    else { return "" }
    let text = String(decoding: bytes, as: UTF8.self)
    guard bytes.count < size, let firstEnd = text.firstIndex(of: "\n") else { return text }
    return String(text[text.index(after: firstEnd)...])
  }

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

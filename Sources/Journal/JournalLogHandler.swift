import CSystemd
import Foundation
import Logging

/// Writes log lines to the journal, their metadata as fields: `job` becomes `JOB=`, so that
/// `journalctl JOB=…` finds a job's life.
public struct JournalLogHandler: LogHandler {
  public var metadata: Logger.Metadata = [:]
  public var logLevel: Logger.Level
  private let program: String
  /// For lines that the journal does not take.
  private let text: TerminalLogHandler

  public init(
    program: String, logLevel: Logger.Level = .info, otherwise text: TerminalLogHandler? = nil
  ) {
    self.program = program
    self.logLevel = logLevel
    self.text = text ?? TerminalLogHandler(program: program, logLevel: logLevel)
  }

  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  public func log(event: LogEvent) {
    let fields = fields(of: event).map { Array("\($0.name)=\($0.value)".utf8) }
    // One line is one datagram and one buffer, so that threads need no lock between them.
    var bytes = fields.flatMap(\.self)
    let sent = bytes.withUnsafeMutableBytes { buffer in
      var offset = 0
      let vectors = fields.map { field in
        defer { offset += field.count }
        return iovec(iov_base: buffer.baseAddress! + offset, iov_len: field.count)
      }
      return sd_journal_sendv(vectors, Int32(vectors.count))
    }
    if sent < 0 {
      var text = text
      text.metadata = metadata
      text.log(event: event)
    }
  }

  /// The fields that the journal gets for a line, `MESSAGE` first.
  func fields(of event: LogEvent) -> [(name: String, value: String)] {
    var fields = [
      ("MESSAGE", event.message.description.escapingControlCharacters(keepingNewlines: true)),
      ("PRIORITY", String(event.level.journalPriority)),
      ("SYSLOG_IDENTIFIER", program),
      ("CODE_FILE", event.file),
      ("CODE_FUNC", event.function),
      ("CODE_LINE", String(event.line)),
    ]
    let metadata = metadata.merging(event.metadata ?? [:]) { _, ofLine in ofLine }
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
      guard let name = Self.fieldName(key), !fields.contains(where: { $0.0 == name }) else {
        continue
      }
      fields.append((name, value.description))
    }
    return fields
  }

  /// A metadata key as a field's name: capitals, digits and underscores, not beginning with a digit
  /// or underscore, 64 at most. `nil` where nothing is left.
  static func fieldName(_ key: String) -> String? {
    let name = key.uppercased().unicodeScalars.map { scalar -> Character in
      switch scalar {
      case "A"..."Z", "0"..."9": Character(scalar)
      default: "_"
      }
    }
    let usable = String(name.drop { $0 == "_" || $0.isNumber }.prefix(64))
    return usable.isEmpty ? nil : usable
  }
}

extension Logger.Level {
  /// The priority of syslog(3), which is the journal's.
  var journalPriority: Int {
    switch self {
    case .trace, .debug: 7
    case .info: 6
    case .notice: 5
    case .warning: 4
    case .error: 3
    case .critical: 2
    }
  }
}

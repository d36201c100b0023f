import EditSettings
import Foundation

/// `result.json`: what a job was and what became of it.
struct ResultReport: Encodable {
  var record: JobRecord

  private enum Key: String, CodingKey {
    case id, name, source, state, client, key, priority, error, quarantined, settings, attempts,
      submitted, started, finished, figures
    case retryOf = "retry_of"
    case stoppedAt = "stopped_at"
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(record.id, forKey: .id)
    try container.encode(record.name, forKey: .name)
    try container.encode(record.sourceName, forKey: .source)
    try container.encode(record.state, forKey: .state)
    try container.encode(record.client, forKey: .client)
    try container.encodeIfPresent(record.key, forKey: .key)
    try container.encode(record.priority, forKey: .priority)
    try container.encodeIfPresent(record.error, forKey: .error)
    try container.encodeIfPresent(record.stoppedAt, forKey: .stoppedAt)
    if record.isQuarantined { try container.encode(true, forKey: .quarantined) }
    try container.encodeIfPresent(record.retryOf, forKey: .retryOf)
    try container.encodeIfPresent(record.editSettings.map(SettingsFields.init), forKey: .settings)
    try container.encode(record.attempts, forKey: .attempts)
    try container.encode(Self.time(record.submitted), forKey: .submitted)
    try container.encodeIfPresent(record.started.map(Self.time), forKey: .started)
    try container.encodeIfPresent(record.finished.map(Self.time), forKey: .finished)
    if let figures = record.figures {
      try container.encode(
        JSONDecoder().decode(JSONValue.self, from: Data(figures.utf8)), forKey: .figures)
    }
  }

  var data: Data {
    get throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      return try encoder.encode(self) + Data("\n".utf8)
    }
  }

  private static func time(_ date: Date) -> String {
    date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
  }
}

import EditSettings
import Foundation

/// A job as it goes over the sockets, and as `stemctl --json` prints it.
extension Job: Codable {
  private enum Key: String, CodingKey {
    case id, name, source, state, client, key, priority, settings, attempts, submitted, started,
      finished, progress, worker, error, quarantined
    case retryOf = "retry_of"
    case outbox
  }

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: Key.self)
    self.init(
      id: try fields.decode(JobID.self, forKey: .id),
      name: try fields.decode(String.self, forKey: .name),
      sourceName: try fields.decode(String.self, forKey: .source),
      state: try fields.decode(JobState.self, forKey: .state),
      client: try fields.decodeIfPresent(String.self, forKey: .client) ?? "",
      settings: try fields.decodeIfPresent(SettingsFields.self, forKey: .settings)?.settings,
      submitted: try fields.decode(Date.self, forKey: .submitted))
    key = try fields.decodeIfPresent(String.self, forKey: .key)
    priority = try fields.decodeIfPresent(Int.self, forKey: .priority) ?? 0
    attempts = try fields.decodeIfPresent(Int.self, forKey: .attempts) ?? 0
    started = try fields.decodeIfPresent(Date.self, forKey: .started)
    finished = try fields.decodeIfPresent(Date.self, forKey: .finished)
    progress = try fields.decodeIfPresent(EditProgress.self, forKey: .progress)
    worker = try fields.decodeIfPresent(String.self, forKey: .worker)
    error = try fields.decodeIfPresent(String.self, forKey: .error)
    isQuarantined = try fields.decodeIfPresent(Bool.self, forKey: .quarantined) ?? false
    retryOf = try fields.decodeIfPresent(JobID.self, forKey: .retryOf)
    outboxName = try fields.decodeIfPresent(String.self, forKey: .outbox)
  }

  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: Key.self)
    try fields.encode(id, forKey: .id)
    try fields.encode(name, forKey: .name)
    try fields.encode(sourceName, forKey: .source)
    try fields.encode(state, forKey: .state)
    try fields.encode(client, forKey: .client)
    try fields.encodeIfPresent(key, forKey: .key)
    try fields.encode(priority, forKey: .priority)
    try fields.encodeIfPresent(settings.map(SettingsFields.init), forKey: .settings)
    try fields.encode(attempts, forKey: .attempts)
    try fields.encode(submitted, forKey: .submitted)
    try fields.encodeIfPresent(started, forKey: .started)
    try fields.encodeIfPresent(finished, forKey: .finished)
    try fields.encodeIfPresent(progress, forKey: .progress)
    try fields.encodeIfPresent(worker, forKey: .worker)
    try fields.encodeIfPresent(error, forKey: .error)
    if isQuarantined { try fields.encode(true, forKey: .quarantined) }
    try fields.encodeIfPresent(retryOf, forKey: .retryOf)
    try fields.encodeIfPresent(outboxName, forKey: .outbox)
  }
}

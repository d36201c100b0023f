import Logging

/// What an operator may meet: lines of the journal that keep their identity however their words
/// change. The raw value is the line's `MESSAGE_ID`; systemd/stemd.catalog explains each
/// (`journalctl -x`).
public enum JournalEvent: String, CaseIterable, Sendable {
  case daemonStarted = "5bbb4070b8234514a4fb4d9c32ffe91f"
  case daemonStopping = "31bb16c8a5154b0188ab7166dc7cf1ee"
  case daemonStopped = "24aa36c6428e4a869110cf2ebeff6182"
  /// The daemon could not start, or had to end.
  case daemonFailed = "1a56279c1d6f4bf3b47e02aae8b7d915"
  case settingsChanged = "db4df6520bc14cf7af512a7ffceb3875"
  /// A reload found a mistake, or what needs a restart.
  case settingsKept = "8401d4635e584cd59d7db6bbcb533e35"

  case jobAccepted = "be0378eb0fd3438cb1f8543a65d6b8c4"
  case jobDone = "dbf6e876afe24984a83ff4d8e9eb8971"
  case jobCancelled = "1c9a890924e04298b8156eaec7f550ee"
  case jobFailed = "c18258d6ae5542189d549ffd04600654"
  case jobQuarantined = "c2a8207adb0e493cae581469f7904ee3"
  /// An attempt ended early, and there will be another one.
  case jobQueuedAgain = "83d4c6b7eed4478f97b673e1ba1e6e50"
  case deliveryDelayed = "78fbd4582ded4c8693de59933a3ca253"

  case workerDied = "6aead7ba7271408f899d74ca4377104a"
  case workerHung = "5762f824db5f47aaa85759e1a87c375c"
  case workerNotStarted = "9f271ab9940c491789136e71f781d8ef"

  case diskFull = "c921aeb79fa94fdab1000278cbbbd6de"
  case queueFull = "5483c3340e724e4fb9ad5cca48310a6a"
  case roomAgain = "2fb06e89bab04c19804080f22cca0fb9"
  case modelMissing = "b09b88c0418f460e9f073427d93af77a"

  case keyRefused = "c7a7bba155944734a79c754b38f5a1ee"
  case keyFileWrong = "69d2aeef013b49ab8b0e6d4425d31bc2"
  case messageRefused = "f609e4a6b7244dbeab1f7c9e499f8c25"
  case connectionsRefused = "0d5f7a0d1c0b4a8e9a1e3f1b6a0c52e7"

  /// Something stays in the inbox that is no job.
  case inboxNotice = "e0f921bccb094700b9fab2418677e89b"
  case inboxUnwatched = "aadd3ee6efbb41a18e796884ad47802b"

  /// How loud it is, unless the line says otherwise.
  public var level: Logger.Level {
    switch self {
    case .daemonStarted, .daemonStopping, .daemonStopped, .settingsChanged, .jobAccepted, .jobDone,
      .jobCancelled, .jobQueuedAgain, .roomAgain:
      .notice
    case .workerDied, .workerHung, .modelMissing, .keyRefused, .keyFileWrong, .messageRefused,
      .connectionsRefused, .inboxNotice:
      .warning
    case .settingsKept, .jobFailed, .jobQuarantined, .deliveryDelayed, .workerNotStarted, .diskFull,
      .queueFull, .inboxUnwatched:
      .error
    case .daemonFailed: .critical
    }
  }

  /// The metadata that makes a line this event's.
  static let key = "message_id"
  public var metadata: Logger.Metadata { [Self.key: "\(rawValue)"] }
}

extension Logger {
  /// Logs an event, at its own level where none is given.
  public func log(
    _ event: JournalEvent, level: Logger.Level? = nil, _ message: @autoclosure () -> Logger.Message,
    metadata: @autoclosure () -> Logger.Metadata = [:], file: String = #fileID,
    function: String = #function, line: UInt = #line
  ) {
    log(
      level: level ?? event.level, message(), metadata: metadata().merging(event.metadata) { $1 },
      file: file, function: function, line: line)
  }
}

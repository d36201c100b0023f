import Logging

/// How loud a line is that a worker has to say of a job.
public enum LogLevel: String, Codable, Sendable {
  case debug, info, notice, warning, error
}

extension Logger.Level {
  public init(_ level: LogLevel) {
    switch level {
    case .debug: self = .debug
    case .info: self = .info
    case .notice: self = .notice
    case .warning: self = .warning
    case .error: self = .error
    }
  }
}

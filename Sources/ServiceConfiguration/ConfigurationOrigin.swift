import JobQueue

/// Where a value comes from.
public enum ConfigurationOrigin: Equatable, Sendable, CustomStringConvertible {
  case standard
  case file(String, line: Int?)
  case variable(String)
  case option(String)

  /// `default`, `/etc/stemd/stemd.yaml, line 3`, `$STEMD_WORKERS`, `--workers`.
  public var description: String {
    switch self {
    case .standard: "default"
    case .file(let path, let line):
      displayName(path) + (line.map { ", line \($0)" } ?? "")
    case .variable(let name): "$\(displayName(name))"
    case .option(let name): name
    }
  }
}

/// What the daemon does with jobs that wait.
public enum DaemonMode: String, Codable, Sendable, CaseIterable {
  /// Begins them.
  case running
  /// Begins none, but accepts them; outlives a restart.
  case paused
  /// Begins and accepts none, and ends when no job runs.
  case draining
}

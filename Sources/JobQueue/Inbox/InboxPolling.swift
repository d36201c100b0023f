extension Inbox {
  /// Whether the inbox is looked through from time to time, though nothing is told of it.
  public enum Polling: Sendable, Equatable {
    /// Every two seconds where inotify cannot be had, or does not tell of everything on the
    /// folder's file system; else not at all.
    case automatic
    /// With this pause, whatever inotify tells; at least a tenth of a second.
    case every(Duration)
    /// Not at all: where inotify cannot be had there is no inbox.
    case never

    static let automaticPause = Duration.seconds(2)
    static let shortestPause = Duration.milliseconds(100)
    static let longestExtension = Duration.seconds(60)

    /// The pause between two looks; `nil` where none is needed.
    func pause(isWatched: Bool, on fileSystem: FileSystemKind) -> Duration? {
      switch self {
      case .automatic:
        isWatched && fileSystem.tellsEveryChange ? nil : Self.automaticPause
      case .every(let pause): max(pause, Self.shortestPause)
      case .never: nil
      }
    }

    /// The pause after a look that took so long: a server that is slow to answer, or a huge folder,
    /// takes a tenth of the daemon's time at most.
    static func pause(_ pause: Duration, afterLookOf duration: Duration) -> Duration {
      max(pause, min(duration * 10, longestExtension))
    }
  }
}

import JobQueue

/// What a piece of text means, as far as a terminal shows it.
enum Style: Sendable, Hashable {
  case plain
  /// A heading.
  case strong
  /// What is there for completeness.
  case faint
  case good, caution, bad
  /// What goes on just now.
  case active

  /// The numbers of its SGR sequence (ECMA-48, 8.3.117); of the eight colours that every terminal
  /// has, so that the user's own scheme stays readable.
  var codes: String? {
    switch self {
    case .plain: nil
    case .strong: "1"
    case .faint: "2"
    case .good: "32"
    case .caution: "33"
    case .bad: "31"
    case .active: "1;34"
    }
  }
}

extension JobState {
  var style: Style {
    switch self {
    case .queued: .plain
    case .running: .active
    case .done: .good
    case .failed: .bad
    case .cancelled: .caution
    }
  }
}

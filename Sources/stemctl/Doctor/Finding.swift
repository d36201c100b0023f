import EditSettings

/// What one look at something told.
struct Finding: Sendable, Equatable {
  enum Verdict: String, Sendable, Encodable {
    case ok
    /// Something works worse than it might, or will not for long.
    case warning
    /// Edits fail, or somebody cannot get at them.
    case problem
  }

  var verdict: Verdict
  /// One sentence, without its full stop.
  var text: String
  /// What to do about it, as a command or a sentence; never missing but where all is well.
  var fix: String?

  static func ok(_ text: String) -> Finding { Finding(verdict: .ok, text: text, fix: nil) }

  static func warning(_ text: String, fix: String) -> Finding {
    Finding(verdict: .warning, text: text, fix: fix)
  }

  static func problem(_ text: String, fix: String) -> Finding {
    Finding(verdict: .problem, text: text, fix: fix)
  }
}

extension Finding.Verdict {
  var style: Style {
    switch self {
    case .ok: .good
    case .warning: .caution
    case .problem: .bad
    }
  }
}

/// One topic that the doctor looks into. A check changes nothing, and takes nothing for granted: no
/// daemon, no rights, no right configuration.
protocol Check: Sendable {
  var topic: String { get }
  /// Seconds after which nobody waits for it any more.
  var patience: Double { get }
  func findings() -> [Finding]
}

extension Check {
  var patience: Double { 10 }

  /// The findings, or one that says that they did not come in time: a disk that hangs, or a daemon,
  /// must not hang the doctor.
  func examine() -> [Finding] {
    bounded(seconds: patience) { findings() }
      ?? [
        .warning(
          "this was not found out within \(durationText(seconds: patience))",
          fix:
            "look whether a disk or a network file system hangs (mount; dmesg), and run 'stemctl doctor' again"
        )
      ]
  }
}

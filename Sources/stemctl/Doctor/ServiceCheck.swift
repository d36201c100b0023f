import Foundation

/// What systemd says of stemd's units.
struct ServiceCheck: Check {
  let topic = "systemd"
  let patience = 15.0

  func findings() -> [Finding] {
    guard access("/run/systemd/system", F_OK) == 0 else {
      return [.ok("systemd does not run here: nothing starts stemd by itself")]
    }
    guard let text = Self.systemctl("show", "stemd.service", "--property=\(Self.properties)")
    else {
      return [
        .warning(
          "systemctl does not answer",
          fix: "look whether systemd is well: systemctl is-system-running"
        )
      ]
    }
    return Self.findings(ofUnit: text) + workers
  }

  private static let properties =
    "LoadState,ActiveState,SubState,UnitFileState,Result,NRestarts,NeedDaemonReload"

  private static func systemctl(_ arguments: String...) -> String? {
    output(of: "/usr/bin/systemctl", ["--no-pager"] + arguments)
  }

  /// - Parameter text: `PROPERTY=VALUE` a line.
  static func findings(ofUnit text: String) -> [Finding] {
    let lines = text.split(separator: "\n").map { $0.split(separator: "=", maxSplits: 1) }
    let values = Dictionary(
      lines.compactMap { $0.count == 2 ? (String($0[0]), String($0[1])) : nil },
      uniquingKeysWith: { $1 })
    guard values["LoadState"] == "loaded" else {
      return [
        .ok(
          "stemd is not installed as a service (stemd.service: \(values["LoadState"] ?? "unknown"))"
        )
      ]
    }
    var findings: [Finding] = []
    let isEnabled = values["UnitFileState"]?.hasPrefix("enabled") == true
    switch values["ActiveState"] {
    case "active", "reloading":
      findings.append(.ok("stemd.service is \(values["SubState"] ?? "active")"))
      if !isEnabled {
        findings.append(
          .warning(
            "stemd.service does not start with the machine", fix: "systemctl enable stemd"))
      }
      if let restarts = values["NRestarts"].flatMap({ Int($0) }), restarts > 0 {
        findings.append(
          .warning(
            "systemd has started it anew \(restarts == 1 ? "once" : "\(restarts) times") after it ended",
            fix: "see why it ended: journalctl -u stemd -p warning"))
      }
    case "activating":
      findings.append(
        .warning(
          "stemd.service is starting (\(values["SubState"] ?? ""))",
          fix: "wait some seconds; if that stays, see why: journalctl -u stemd -n 30"))
    case "failed":
      findings.append(
        .problem(
          "stemd.service has failed (\(values["Result"] ?? "unknown"))",
          fix: "see why (journalctl -u stemd -n 30 -x), put it right, and systemctl restart stemd"))
    default:
      findings.append(
        isEnabled
          ? .problem(
            "stemd.service is enabled and does not run", fix: "systemctl start stemd")
          : .warning(
            "stemd.service is installed and does not run", fix: "systemctl enable --now stemd"))
    }
    if values["NeedDaemonReload"] == "yes" {
      findings.append(
        .warning(
          "stemd.service's files have changed since systemd read them",
          fix: "systemctl daemon-reload && systemctl restart stemd"))
    }
    return findings
  }

  private var workers: [Finding] {
    let list =
      Self.systemctl("list-units", "--all", "--plain", "--no-legend", "stem-worker@*") ?? ""
    return list.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ").map(String.init)
      guard words.count >= 4 else { return nil }
      return words[2] == "active"
        ? .ok("\(words[0]) is \(words[3])")
        : .problem(
          "\(words[0]) is \(words[2]) (\(words[3]))",
          fix: "see why: journalctl -u \(words[0]) -n 30")
    }
  }
}

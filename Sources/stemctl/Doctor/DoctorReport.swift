/// All findings, and how they are shown.
struct DoctorReport: Encodable {
  private struct Entry: Encodable {
    var topic: String
    var verdict: Finding.Verdict
    var text: String
    var fix: String?
  }

  private var findings: [Entry] = []
  private(set) var warnings = 0
  private(set) var problems = 0

  mutating func add(_ topic: String, _ findings: [Finding]) {
    for finding in findings {
      self.findings.append(
        Entry(topic: topic, verdict: finding.verdict, text: finding.text, fix: finding.fix))
      warnings += finding.verdict == .warning ? 1 : 0
      problems += finding.verdict == .problem ? 1 : 0
    }
  }

  /// `24 ok, 1 warning, no problem`.
  var summary: StyledText {
    func count(_ count: Int, _ name: String, _ style: Style) -> StyledText {
      count == 0
        ? StyledText("no \(name)")
        : StyledText(count == 1 ? "1 \(name)" : "\(count) \(name)s", style)
    }
    return StyledText("\(findings.count - warnings - problems) ok", .good) + ", "
      + count(warnings, "warning", .caution) + ", " + count(problems, "problem", .bad)
  }

  /// A heading, and a line for each finding; below it what to do.
  static func lines(_ topic: String, _ findings: [Finding], in room: Int?) -> [StyledText] {
    let indent = 11
    // What has no room goes on below its beginning.
    func hanging(_ mark: StyledText, _ text: StyledText) -> [StyledText] {
      let parts = room.map { text.wrapped(to: max(20, $0 - indent)) } ?? [text]
      return parts.enumerated().map { index, part in
        (index == 0 ? mark : "").padded(to: indent) + part
      }
    }
    return [StyledText(topic, .strong)]
      + findings.flatMap { finding in
        let verdict = finding.verdict
        return hanging("  " + StyledText(verdict.rawValue, verdict.style), StyledText(finding.text))
          + (finding.fix.map { hanging("", StyledText("→ ", .strong) + StyledText($0)) } ?? [])
      }
  }
}

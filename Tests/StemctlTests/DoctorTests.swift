import Foundation
import Testing

@testable import stemctl

@Suite struct DoctorTests {
  @Test("a path's mount is the innermost, and of several on one point the last")
  func mounts() {
    let mounts = Mounts(
      table: """
        22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
        30 22 0:5 / /srv rw - tmpfs tmpfs rw
        31 30 8:2 / /srv/with\\040space ro,nosuid master:2 - xfs /dev/sdb rw
        32 22 0:9 / /srv rw - nfs4 server:/x rw
        """)
    #expect(mounts.mount(of: "/var/spool")?.kind == "ext4")
    #expect(mounts.mount(of: "/srv/clips")?.kind == "nfs4")
    #expect(mounts.mount(of: "/srvother")?.kind == "ext4")
    #expect(mounts.mount(of: "/srv/with space/a")?.isReadOnly == true)
    #expect(Mounts(table: "nonsense\n").mount(of: "/") == nil)
  }

  @Test(
    "systemd's words become what to do",
    arguments: [
      ("LoadState=not-found\n", [Finding.Verdict.ok]),
      ("LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n", [.ok]),
      ("LoadState=loaded\nActiveState=active\nUnitFileState=disabled\n", [.ok, .warning]),
      ("LoadState=loaded\nActiveState=failed\nResult=exit-code\n", [.problem]),
      ("LoadState=loaded\nActiveState=inactive\nUnitFileState=enabled\n", [.problem]),
      ("LoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\n", [.warning]),
      (
        "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNRestarts=3\nNeedDaemonReload=yes\n",
        [.ok, .warning, .warning]
      ),
    ])
  func units(text: String, verdicts: [Finding.Verdict]) {
    let findings = ServiceCheck.findings(ofUnit: text)
    #expect(findings.map(\.verdict) == verdicts)
    #expect(findings.allSatisfy { ($0.fix == nil) == ($0.verdict == .ok) })
  }

  @Test("a stemd's root is read from its command line")
  func runningDaemons() {
    func root(_ arguments: String...) -> String? {
      RunningDaemons.root(arguments: arguments) { "/home/ada" }
    }
    #expect(root("/usr/sbin/stemd") == "/var/spool/stemd")
    #expect(root("stemd", "--root", "/tmp/a", "--workers", "2") == "/tmp/a")
    #expect(root("./stemd", "--root=demo/") == "/home/ada/demo")
    #expect(root("vim", "stemd", "--root", "/tmp/a") == nil)
    #expect(root() == nil)
  }

  @Test("a folder's mode says who may write")
  func permissions() throws {
    let path = FileManager.default.temporaryDirectory.appending(
      path: "stemctl-\(UUID().uuidString)"
    ).path(percentEncoded: false)
    mkdir(path, 0o700)
    defer { rmdir(path) }
    chmod(path, 0o750)
    let facts = try #require(FolderFacts(path: path))
    #expect(facts.isFolder && facts.mode == 0o750)
    #expect(facts.isWritable(for: getuid()) && !facts.isWritable(for: 65534))
    chmod(path, 0o1777)
    #expect(FolderFacts(path: path)?.isWritable(for: 65534) == true)
    #expect(FolderFacts(path: path + "/none") == nil)
  }

  @Test("a control group's share of the processors is the least of its own and those around it")
  func quota() throws {
    let base = FileManager.default.temporaryDirectory.appending(
      path: "stemctl-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: base) }
    try FileManager.default.createDirectory(
      at: base.appending(path: "a/b"), withIntermediateDirectories: true)
    func write(_ text: String, _ name: String) throws {
      try Data(text.utf8).write(to: base.appending(path: name))
    }
    try write("0::/a/b\n", "membership")
    try write("max 100000\n", "a/b/cpu.max")
    let (membership, groups) = (base.appending(path: "membership").path, base.path)
    #expect(ProcessorCheck.quota(membership: membership, groups: groups) == nil)
    try write("150000 100000\n", "a/cpu.max")
    #expect(ProcessorCheck.quota(membership: membership, groups: groups) == 1.5)
  }

  @Test("what does not come in time is not waited for")
  func bounds() {
    struct Hanging: Check {
      let topic = "hanging"
      let patience = 0.05
      func findings() -> [Finding] {
        sleep(3)
        return []
      }
    }
    #expect(Hanging().examine().map(\.verdict) == [.warning])
    #expect(bounded(seconds: 10) { 7 } == 7)
    #expect(output(of: "/bin/echo", ["word"]) == "word\n")
    #expect(output(of: "/bin/sleep", ["60"], seconds: 0.05) == nil)
    #expect(output(of: "/no/such/program", []) == nil)
  }

  @Test("the report keeps to the terminal's width, and counts")
  func report() {
    let findings: [Finding] = [
      .ok("one"), .problem("two words and many more that need room", fix: "do it"),
    ]
    let lines = DoctorReport.lines("topic", findings, in: 40)
    #expect(
      lines.map(\.text) == [
        "topic", "  ok       one", "  problem  two words and many more that",
        "           need room",
        "           → do it",
      ])
    var report = DoctorReport()
    report.add("topic", findings)
    #expect(report.summary.text == "1 ok, no warning, 1 problem")
    #expect(report.problems == 1 && report.warnings == 0)
  }

  // MARK: The program

  private struct Answer: Decodable {
    struct Entry: Decodable {
      var topic: String
      var verdict: String
      var text: String
      var fix: String?
    }
    var findings: [Entry]
    var problems: Int
    var warnings: Int
  }

  private func doctor(_ arguments: [String], _ environment: [String: String] = [:]) throws -> (
    answer: Answer, status: Int32
  ) {
    let outcome = try ProgramRun("stemctl", ["doctor", "--json"] + arguments, environment)
    return (try JSONDecoder().decode(Answer.self, from: Data(outcome.output.utf8)), outcome.status)
  }

  @Test(
    "it works without a daemon and a root, tries a real video, and names a way out of everything")
  func withoutDaemon() throws {
    let (answer, status) = try doctor(["--root", "/nonexistent/stemd", "--config", "/dev/null"])
    #expect(
      answer.problems == 0 && status == 0, "\(answer.findings.filter { $0.verdict == "problem" })")
    for entry in answer.findings { #expect((entry.fix == nil) == (entry.verdict == "ok")) }
    let topics = Set(answer.findings.map(\.topic))
    #expect(
      topics.isSuperset(of: [
        "programs", "libraries", "processor", "memory", "configuration", "models", "folders",
        "inotify", "daemon", "systemd", "confinement", "video",
      ]))
    #expect(answer.findings.contains { $0.topic == "video" && $0.verdict == "ok" })
    #expect(
      answer.findings.contains { $0.text.hasPrefix("oneDNN ") && $0.text.contains("libdnnl") })
    #expect(answer.findings.contains { $0.text.contains("/nonexistent/stemd does not exist") })
  }

  @Test("a configuration with a mistake is a problem, and the rest is looked at all the same")
  func brokenConfiguration() throws {
    let file = FileManager.default.temporaryDirectory.appending(
      path: "stemctl-\(UUID().uuidString)")
    try Data("worker: 2\n".utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let (answer, status) = try doctor([
      "--root", "/nonexistent/stemd", "--config", file.path(percentEncoded: false),
    ])
    #expect(status == 1 && answer.problems == 1)
    let problem = answer.findings.first { $0.verdict == "problem" }
    #expect(problem?.topic == "configuration" && problem?.text.contains("line 1") == true)
    #expect(answer.findings.contains { $0.topic == "models" && $0.verdict == "ok" })
  }

  @Test("a models' folder without the default model is a problem")
  func noModels() throws {
    let (answer, status) = try doctor(
      ["--root", "/nonexistent/stemd", "--config", "/dev/null"], ["STEMD_DEFAULT_MODEL": "other"])
    #expect(status == 1)
    #expect(answer.findings.contains { $0.topic == "models" && $0.text.contains("'other'") })
  }
}

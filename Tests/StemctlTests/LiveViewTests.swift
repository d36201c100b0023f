import EditSettings
import Foundation
import JobQueue
import Messaging
import Testing

@testable import stemctl

/// The real programs on terminals.
@Suite(.serialized) struct LiveViewTests {
  /// A stemd of its own, gone with the test.
  private final class Daemon {
    let folders: SpoolFolders
    private var process = Process()

    init() throws {
      folders = SpoolFolders(
        root: FileManager.default.temporaryDirectory.appending(
          path: "stemctl-\(UUID().uuidString.prefix(8))"))
      try start()
    }

    deinit {
      kill()
      try? FileManager.default.removeItem(at: folders.root)
    }

    func start() throws {
      process = Process()
      process.executableURL = ProgramRun.url("stemd")
      process.arguments = ["--root", root, "--config", "/dev/null", "--workers", "1"]
      process.standardError = FileHandle.nullDevice
      try process.run()
      for _ in 0..<600 {
        if (try? status().workers?.count) == 1 { return }
        usleep(50_000)
      }
    }

    func kill() {
      Foundation.kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
    }

    var root: String { folders.root.path(percentEncoded: false) }

    func status() throws -> DaemonStatus {
      guard
        case .daemon(let status) = try ControlClient(endpoint: folders.controlEndpoint).request(
          .status(job: nil))
      else { throw CommandFailure.unexpectedAnswer }
      return status
    }
  }

  private static let clip = URL(filePath: #filePath).deletingLastPathComponent().appending(
    path: "../../Models/tiny-world/clips/00-color.mp4"
  ).standardizedFileURL.path(percentEncoded: false)

  private func submit(_ daemon: Daemon, steps: Int) throws -> String {
    let run = try ProgramRun(
      "stemctl",
      [
        "submit", Self.clip, "--prompt", "a photo of a purple ball", "--steps", "\(steps)",
        "--frames", "2", "--size", "64x64", "--root", daemon.root,
      ])
    #expect(run.status == 0)
    return run.output.trimmingCharacters(in: .newlines)
  }

  @Test(
    "top shows a job at work on any terminal, and leaves the terminal as it was",
    arguments: [(60, "q"), (120, "")])
  func top(columns: Int, key: String) throws {
    let daemon = try Daemon()
    let job = try submit(daemon, steps: 400)
    let pseudo = try PseudoTerminal(columns: columns)
    var before = termios()
    tcgetattr(pseudo.theirs, &before)
    let top = try pseudo.start(ProgramRun.url("stemctl"), ["top", "--root", daemon.root])
    try pseudo.wait {
      $0.isAlternate && $0.isCursorHidden && $0.contains("/400") && $0.contains("MiB")
    }
    #expect(pseudo.screen.contains("WORKER") && pseudo.screen.contains("1 running"))
    #expect(pseudo.screen.contains(job) == (columns == 120))
    #expect(pseudo.screen.wraps == 0 && pseudo.screen.unknown == [])
    if key.isEmpty { kill(top.processIdentifier, SIGTERM) } else { pseudo.type(key) }
    top.waitUntilExit()
    pseudo.readOn(milliseconds: 100)
    #expect(!pseudo.screen.isAlternate && !pseudo.screen.isCursorHidden)
    #expect(top.terminationReason == .exit && top.terminationStatus == (key.isEmpty ? 143 : 0))
    var after = termios()
    tcgetattr(pseudo.theirs, &after)
    #expect(after.c_lflag == before.c_lflag)
  }

  @Test("top says when the daemon is gone, and finds it again")
  func reconnection() throws {
    let daemon = try Daemon()
    let pseudo = try PseudoTerminal(columns: 100)
    let top = try pseudo.start(ProgramRun.url("stemctl"), ["top", "--root", daemon.root])
    try pseudo.wait { $0.contains("idle") }
    daemon.kill()
    try pseudo.wait { $0.contains("trying again") }
    pseudo.resize(columns: 60, rows: 10)
    kill(top.processIdentifier, SIGWINCH)
    try pseudo.wait { $0.contains("trying again") && $0.contains("q quits") }
    #expect(pseudo.screen.wraps == 0)
    try daemon.start()
    try pseudo.wait { !$0.contains("trying again") && $0.contains("idle") }
    kill(top.processIdentifier, SIGINT)
    top.waitUntilExit()
    #expect(top.terminationStatus == 0)
  }

  @Test("watch shows a job on one line that fits, and says where its result is")
  func watch() throws {
    let daemon = try Daemon()
    // So that it is seen from the beginning.
    _ = try ProgramRun("stemctl", ["pause", "--root", daemon.root])
    let job = try submit(daemon, steps: 40)
    let pseudo = try PseudoTerminal(columns: 60)
    let watch = try pseudo.start(ProgramRun.url("stemctl"), ["watch", job, "--root", daemon.root])
    try pseudo.wait { $0.lines.contains("queued") }
    _ = try ProgramRun("stemctl", ["resume", "--root", daemon.root])
    try pseudo.wait { $0.contains("%  ") && $0.contains("/40") }
    try pseudo.wait { $0.lines.contains("done") }
    watch.waitUntilExit()
    #expect(watch.terminationStatus == 0)
    #expect(pseudo.screen.unknown == [] && !pseudo.screen.contains("%"))
    // Lists fit, too, and are whole in a pipe.
    let narrow = try PseudoTerminal(columns: 40)
    try narrow.start(ProgramRun.url("stemctl"), ["list", "--root", daemon.root]).waitUntilExit()
    try narrow.wait { $0.contains(job) }
    #expect(narrow.screen.wraps == 0 && narrow.written.contains("\u{1B}[32mdone"))
    let piped = try ProgramRun("stemctl", ["list", "--root", daemon.root])
    #expect(piped.output.contains("CLIENT") && !piped.output.contains("\u{1B}"))
    let once = try ProgramRun("stemctl", ["top", "--root", daemon.root])
    #expect(once.status == 0 && once.output.contains("idle") && !once.output.contains("\u{1B}"))
  }
}

import Foundation
import Glibc
import JobQueue
import Messaging
import Testing

/// A real stemd with real workers in a private root, gone with the test.
final class Service {
  let folders: SpoolFolders
  private let base = FileManager.default.temporaryDirectory.appending(
    path: "stemd-service-\(UUID().uuidString.prefix(8))")
  private var daemon = Process()
  private let workers: Int

  init(workers: Int = 1) throws {
    self.workers = workers
    folders = SpoolFolders(root: base.appending(path: "root"))
    try FileManager.default.createDirectory(at: base, withIntermediateDirectories: true)
    try start()
  }

  deinit {
    Glibc.kill(daemon.processIdentifier, SIGKILL)
    // Waiting keeps the workers, which die with the daemon, from writing into a folder that is
    // being removed.
    daemon.waitUntilExit()
    try? FileManager.default.removeItem(at: base)
  }

  static func program(_ name: String) -> URL {
    URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().appending(
      path: name)
  }

  static let models = repository.appending(path: "Models")
  private static let repository = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  func start() throws {
    daemon = Process()
    daemon.executableURL = Self.program("stemd")
    daemon.arguments = [
      "--root", folders.root.path(percentEncoded: false), "--workers", "\(workers)", "--models",
      Self.models.path(percentEncoded: false),
    ]
    if !FileManager.default.fileExists(atPath: logPath) {
      try Data().write(to: URL(filePath: logPath))
    }
    let log = try FileHandle(forWritingTo: URL(filePath: logPath))
    try log.seekToEnd()
    daemon.standardError = log
    daemon.standardInput = FileHandle.nullDevice
    try daemon.run()
    try eventually("stemd answers") { (try? self.status()) != nil }
  }

  func kill(daemonWith signal: Int32) {
    Glibc.kill(daemon.processIdentifier, signal)
    daemon.waitUntilExit()
  }

  private var logPath: String { base.appending(path: "stemd.log").path(percentEncoded: false) }

  /// What the daemon has said so far.
  var log: String { (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? "" }

  // MARK: Asking

  func ask(_ request: ControlRequest) throws -> ControlReply {
    try ControlClient(endpoint: folders.controlEndpoint).request(request, timeout: 5)
  }

  func status() throws -> DaemonStatus {
    guard case .daemon(let status) = try ask(.status(job: nil)) else { throw Unexpected() }
    return status
  }

  func jobs() throws -> [Job] {
    guard case .jobs(let jobs, _) = try ask(.list(JobFilter(limit: 1000))) else {
      throw Unexpected()
    }
    return jobs
  }

  func job(named name: String) throws -> Job? { try jobs().first { $0.name == name } }

  struct Unexpected: Error {}

  /// Waits until a job is in a final state.
  func finished(_ name: String) throws -> Job {
    var found: Job?
    try eventually("the job \(name.debugDescription) ends") {
      found = try self.job(named: name)
      return found?.state.isFinal == true
    }
    return try #require(found)
  }

  func eventually(_ what: String, within seconds: Double = 120, _ condition: () throws -> Bool)
    throws
  {
    let deadline = Date(timeIntervalSinceNow: seconds)
    while try !condition() {
      guard Date() < deadline else {
        Issue.record("\(what): not within \(seconds) s; the daemon says:\n\(log)")
        throw Unexpected()
      }
      usleep(20_000)
    }
  }

  // MARK: Files

  func inbox(_ name: String) -> String { folders.inbox.path(percentEncoded: false) + name }
  func outbox(_ name: String) -> String { folders.outbox.path(percentEncoded: false) + name }

  /// Writes a file into the inbox and closes it, as a copying program does.
  func drop(_ name: String, _ content: Data) {
    _ = FileManager.default.createFile(atPath: inbox(name), contents: content)
  }
  func drop(_ name: String, _ content: String) { drop(name, Data(content.utf8)) }

  func names(_ folder: URL) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder.path(percentEncoded: false)))
      ?? []).sorted()
  }

  func result(_ name: String) throws -> [String: Any] {
    let data = try Data(contentsOf: URL(filePath: outbox(name + "/result.json")))
    return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  /// A clip of 16 frames of 128x128.
  static let clip = Result {
    try Data(contentsOf: models.appending(path: "tiny-world/clips/00-color.mp4"))
  }

  /// A sidecar for an edit that takes a moment, or about as long as `steps` asks for.
  static func sidecar(steps: Int = 1) -> String {
    "prompt: a photo of a purple ball\nsteps: \(steps)\nframes: 2\nsize: 64x64\n"
  }
}

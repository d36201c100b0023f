import EditSettings
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
  private let workers: Int?
  private let options: [String]
  private let environment: [String: String]
  private let journal: JournalSocket?

  /// - Parameters:
  ///   - workers: As the option says; `nil` for what the configuration says.
  ///   - options: Further options of stemd.
  ///   - configuration: Its configuration file's content.
  ///   - environment: What stemd and its workers find in their environment besides this process's.
  ///   - journal: Gets what they log, as if systemd had started them.
  init(
    workers: Int? = 1, options: [String] = [], configuration: String = "",
    environment: [String: String] = [:], journal: JournalSocket? = nil
  ) throws {
    self.workers = workers
    self.environment = environment
    self.journal = journal
    self.options = options
    folders = SpoolFolders(root: base.appending(path: "root"))
    try FileManager.default.createDirectory(at: base, withIntermediateDirectories: true)
    try Data(configuration.utf8).write(to: URL(filePath: configurationPath))
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
    daemon.executableURL = URL(filePath: "/usr/bin/env")
    daemon.arguments =
      (journal?.launcher ?? []) + [
        Self.program("stemd").path(percentEncoded: false), "--root",
        folders.root.path(percentEncoded: false), "--models",
        Self.models.path(percentEncoded: false), "--config", configurationPath,
      ] + (workers.map { ["--workers", "\($0)"] } ?? []) + options
    daemon.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    if !FileManager.default.fileExists(atPath: logPath) {
      try Data().write(to: URL(filePath: logPath))
    }
    let log = try FileHandle(forWritingTo: URL(filePath: logPath))
    try log.seekToEnd()
    daemon.standardError = log
    if journal != nil {
      var file = stat()
      fstat(log.fileDescriptor, &file)
      daemon.environment?["JOURNAL_STREAM"] = "\(file.st_dev):\(file.st_ino)"
    }
    daemon.standardInput = FileHandle.nullDevice
    try daemon.run()
    try eventually("stemd answers") { (try? self.status()) != nil }
  }

  /// Sends the daemon a signal that does not end it.
  func send(_ signal: Int32) { Glibc.kill(daemon.processIdentifier, signal) }

  /// The daemon's state as /proc has it: `T` where it is stopped.
  func state() throws -> String? {
    let stat = try String(
      contentsOfFile: "/proc/\(daemon.processIdentifier)/stat", encoding: .utf8)
    return stat.split(separator: " ").dropFirst(2).first.map(String.init)
  }

  func kill(daemonWith signal: Int32) {
    Glibc.kill(daemon.processIdentifier, signal)
    daemon.waitUntilExit()
  }

  /// Waits until the daemon ends by itself.
  func exitStatus() -> Int32 {
    daemon.waitUntilExit()
    return daemon.terminationStatus
  }

  /// A place beside the root, gone with the test.
  func path(_ name: String) -> String { base.appending(path: name).path(percentEncoded: false) }

  var configurationPath: String { path("stemd.yaml") }
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

  func workerStatuses() throws -> [WorkerStatus] { try status().workers ?? [] }

  func jobs() throws -> [Job] {
    guard case .jobs(let jobs, _) = try ask(.list(JobFilter(limit: 1000))) else {
      throw Unexpected()
    }
    return jobs
  }

  func job(named name: String) throws -> Job? { try jobs().first { $0.name == name } }

  /// Submits a clip as a program does; the clip comes along in the message.
  @discardableResult
  func submit(
    _ name: String, _ settings: EditSettings, key: String? = nil, priority: Int = 0,
    clip: Data? = nil
  ) throws -> Job {
    let request = SubmitRequest(
      name: name + ".mp4", settings: settings, key: key, priority: priority, clip: .body)
    let reply = try ControlClient(endpoint: folders.controlEndpoint).request(
      .submit(request), body: clip ?? Self.clip.get())
    if case .error(let refusal) = reply { throw refusal }
    guard case .job(let job, _) = reply else { throw Unexpected() }
    return job
  }

  /// Settings of an edit that takes about as long as `steps` asks for.
  static func settings(
    _ prompt: String = "a photo of a purple ball", steps: Int = 1, frames: Int = 2
  ) -> EditSettings {
    var settings = EditSettings(
      prompt: prompt, steps: steps, frames: frames, size: .exactly(FrameSize(width: 64, height: 64))
    )
    // Takes time, and is looked at elsewhere.
    settings.reconstruction = false
    return settings
  }

  func content(_ name: String) throws -> String {
    try String(contentsOfFile: outbox(name), encoding: .utf8)
  }

  /// - Returns: what the program printed.
  @discardableResult
  static func run(_ program: String, _ arguments: [String]) throws -> String {
    let process = Process()
    process.executableURL = Self.program(program)
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(program) \(arguments)")
    return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .newlines)
  }

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

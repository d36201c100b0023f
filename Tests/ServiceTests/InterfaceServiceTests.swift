import EditSettings
import Foundation
import Glibc
import JobQueue
import Messaging
import Testing

@Suite(.serialized) struct InterfaceServiceTests {
  @Test("an uploaded clip is edited, and its result is fetched in parts, as it lies in the outbox")
  func uploadAndFetch() throws {
    let service = try Service()
    let clip = try Service.clip.get()
    let client = try ControlClient(endpoint: service.folders.controlEndpoint)
    let submit = ControlRequest.submit(
      SubmitRequest(
        name: "ball.mp4", settings: Service.settings(), key: "k", clip: .upload(bytes: clip.count)))
    guard case .upload(let upload, 0, let credit) = try client.request(submit) else {
      throw Service.Unexpected()
    }
    #expect(credit == min(clip.count, 4 << 20))
    let half = clip.count / 2
    guard
      case .credit(upload, half, _) = try client.request(
        .chunk(upload: upload, offset: 0), body: clip.prefix(half)),
      // The same again is not the next part.
      case .error(let gap) = try client.request(
        .chunk(upload: upload, offset: 0), body: clip.prefix(half)),
      case .job(let job, false) = try client.request(
        .chunk(upload: upload, offset: half), body: clip.dropFirst(half))
    else { throw Service.Unexpected() }
    #expect(gap.code == .offset && gap.received == half)
    guard case .job(let known, known: true) = try client.request(submit) else {
      throw Service.Unexpected()
    }
    #expect(known.id == job.id)
    #expect(try service.finished("ball").state == .done)
    try service.eventually("it is delivered") {
      try service.job(named: "ball")?.outboxName != nil
    }
    guard case .files(job.id, let files) = try client.request(.files(job: job.id)) else {
      throw Service.Unexpected()
    }
    #expect(
      files.map(\.name) == [
        "comparison.mp4", "edited.mp4", "job.log", "poster.png", "report.html", "result.json",
        "source.mp4",
      ])
    var fetched = Data()
    while fetched.count < clip.count {
      let (reply, body) = try client.answer(
        to: .fetch(job: job.id, file: "source.mp4", offset: fetched.count, length: 1000))
      guard case .data(job.id, "source.mp4", fetched.count, clip.count) = reply, let body else {
        throw Service.Unexpected()
      }
      fetched += body
    }
    #expect(fetched == clip)
    // Somebody may have taken the folder away.
    rename(service.outbox("ball"), service.path("elsewhere"))
    guard case .error(let gone) = try client.request(.files(job: job.id)) else {
      throw Service.Unexpected()
    }
    #expect(gone.code == .notFound)
  }

  @Test("a paused daemon accepts jobs and begins none, also after a restart, until it is resumed")
  func pause() throws {
    let service = try Service()
    guard case .daemon(let paused) = try service.ask(.pause) else { throw Service.Unexpected() }
    #expect(paused.mode == .paused)
    try service.submit("ball", Service.settings())
    service.kill(daemonWith: SIGKILL)
    try service.start()
    try service.eventually("a worker is ready") { try service.workerStatuses().count == 1 }
    #expect(try service.status().mode == .paused)
    usleep(300_000)
    #expect(try service.job(named: "ball")?.state == .queued)
    _ = try service.ask(.resume)
    #expect(try service.finished("ball").state == .done)
  }

  @Test(
    "a drained daemon ends with success when no job runs, and begins the rest at its next start")
  func drain() throws {
    let service = try Service()
    try service.submit("running", Service.settings(steps: 30))
    try service.eventually("it runs") { try service.job(named: "running")?.state == .running }
    try service.submit("waiting", Service.settings())
    _ = try service.ask(.drain)
    #expect(
      try #require(throws: Refusal.self) { try service.submit("late", Service.settings()) }
        .code == .draining)
    service.drop("inbox.mp4", try Service.clip.get())
    service.drop("inbox.yaml", Service.sidecar())
    #expect(service.exitStatus() == 0)
    #expect(service.names(service.folders.outbox) == ["running"])
    #expect(service.names(service.folders.inbox) == ["inbox.mp4", "inbox.yaml"])
    try service.start()
    #expect(try service.finished("waiting").state == .done)
    #expect(try service.finished("inbox").state == .done)
  }

  @Test(
    "what exceeds a configured limit is refused or fails with the limit's name",
    arguments: [
      ("limits: {frames: 1}", "frames"), ("limits: {frame_pixels: 1000}", "frame_pixels"),
      ("limits: {worker_memory: 1 MiB}", "worker_memory"), ("limits: {run_time: 1}", "run_time"),
      ("limits: {job_bytes: 1000}", "job_bytes"), ("limits: {queue_length: 1}", "queue_length"),
      ("limits: {spool_reserve: 1000 TiB}", "spool_reserve"),
    ])
  func limits(configuration: String, name: String) throws {
    let service = try Service(configuration: configuration)
    let settings = Service.settings(steps: name == "run_time" ? 500 : 1)
    do {
      _ = try service.ask(.pause)
      try service.submit("first", settings)
      try service.submit("second", settings)
      _ = try service.ask(.resume)
    } catch let refusal as Refusal {
      #expect(refusal.code == .limit && refusal.limit == name)
      #expect(refusal.description.contains("'\(name)'"))
      return
    }
    let job = try service.finished("first")
    #expect(job.state == .failed && job.error?.contains("'\(name)'") == true, "\(job.error ?? "")")
    #expect(!job.isQuarantined)
  }

  @Test("a configuration with a mistake stops the start and names the line")
  func badConfiguration() throws {
    for (text, sentence, status) in [
      ("workers: 1\nworker: 2\n", "line 2: there is no key 'worker'", EX_CONFIG),
      ("limits:\n  frames: many\n", "line 2: 'limits.frames' takes a whole number", EX_CONFIG),
      ("workers:1\nthreads: 2\n", "line 2 or the one before it, is not YAML", EX_CONFIG),
      ("workers: 1\nworkers: 2\n", "the key 'workers' stands there twice", EX_CONFIG),
      (
        "precision: half\n", "line 1: 'precision' takes one of auto, full, mixed, not 'half'",
        EX_CONFIG
      ),
      (
        "precision: [full]\n", "line 1: 'precision' takes one of auto, full, mixed, not a list",
        EX_CONFIG
      ),
      ("workers: [1]\n", "line 1: 'workers' takes a whole number", EX_CONFIG),
      ("listen: tcp://127.0.0.1:*\n", "stemctl keys server", EXIT_FAILURE),
    ] {
      let base = FileManager.default.temporaryDirectory.appending(
        path: "stemd-config-\(UUID().uuidString.prefix(8))")
      try FileManager.default.createDirectory(at: base, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: base) }
      let file = base.appending(path: "stemd.yaml").path(percentEncoded: false)
      try Data(text.utf8).write(to: URL(filePath: file))
      let daemon = Process()
      daemon.executableURL = Service.program("stemd")
      daemon.arguments = [
        "--root", base.appending(path: "root").path(percentEncoded: false), "--config", file,
      ]
      let errors = Pipe()
      daemon.standardError = errors
      try daemon.run()
      let said = String(
        decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      daemon.waitUntilExit()
      #expect(daemon.terminationStatus == status && said.contains(sentence), "\(said)")
    }
  }

  @Test("a root that cannot be written to stops the start with a sentence")
  func unwritableRoot() throws {
    let daemon = Process()
    daemon.executableURL = Service.program("stemd")
    daemon.arguments = ["--root", "/proc/stemd"]
    let errors = Pipe()
    daemon.standardError = errors
    try daemon.run()
    let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    daemon.waitUntilExit()
    #expect(daemon.terminationStatus == 1)
    #expect(said.contains("cannot make the folder /proc/stemd"), "\(said)")
  }

  @Test("a clip below a submit folder is taken by its path; nothing else is")
  func submitByPath() throws {
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "stemd-clips-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(
      at: folder.appending(path: "sub"), withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.path(percentEncoded: false)
    let service = try Service(configuration: "submit_folders: [\(path)]\n")
    try Service.clip.get().write(to: folder.appending(path: "sub/ball.mp4"))
    symlink("/etc/passwd", path + "/link.mp4")
    symlink("/etc", path + "/folder")
    mkfifo(path + "/pipe.mp4", 0o600)
    func submit(_ clip: String) throws -> ControlReply {
      try service.ask(
        .submit(SubmitRequest(name: "ball.mp4", settings: Service.settings(), clip: .path(clip))))
    }
    for bad in [
      "/etc/passwd", path + "/link.mp4", path + "/folder/passwd", path + "/../passwd",
      path + "/pipe.mp4", path + "/none.mp4", path, "sub/ball.mp4", path + "/sub",
    ] {
      guard case .error(let refusal) = try submit(bad) else {
        Issue.record("\(bad) is taken")
        continue
      }
      #expect([.forbidden, .notFound].contains(refusal.code))
    }
    guard case .job = try submit(path + "/sub/ball.mp4") else { throw Service.Unexpected() }
    #expect(try service.finished("ball").state == .done)
    #expect(FileManager.default.fileExists(atPath: path + "/sub/ball.mp4"))
  }

  @Test("a worker over tcp with a key edits a clip to the same bits; without its key it gets none")
  func remoteWorker() throws {
    let local = try Service()
    try local.submit("ball", Service.settings(steps: 4))
    #expect(try local.finished("ball").state == .done)
    let expected = try Data(contentsOf: URL(filePath: local.outbox("ball/edited.mp4")))

    let port = 20_000 + Int(getpid()) % 20_000
    let base = FileManager.default.temporaryDirectory.appending(
      path: "stemd-keys-\(UUID().uuidString.prefix(8))")
    let root = base.appending(path: "root").path(percentEncoded: false)
    try FileManager.default.createDirectory(
      atPath: root, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: base) }
    let serverKey = try Service.run("stemctl", ["keys", "server", "--root", root])
    let keys = base.appending(path: "keys").path(percentEncoded: false)
    for name in ["render", "studio", "stranger"] {
      try Service.run("stemctl", ["keys", "new", name, "--folder", keys])
    }
    func allow(_ name: String, _ role: String) throws {
      try Service.run(
        "stemctl",
        ["keys", "allow", name, "--as", role, "\(keys)/\(name).public", "--root", root])
    }
    try allow("render", "worker")
    try allow("studio", "client")

    let daemon = Process()
    daemon.executableURL = Service.program("stemd")
    daemon.arguments = [
      "--root", root, "--workers", "0", "--checkpoint-interval", "0", "--config", "/dev/null",
      "--listen", "tcp://127.0.0.1:\(port)", "--listen-workers", "tcp://127.0.0.1:\(port + 1)",
    ]
    daemon.standardError = FileHandle.nullDevice
    try daemon.run()
    defer {
      daemon.terminate()
      daemon.waitUntilExit()
    }
    let worker = Process()
    worker.executableURL = Service.program("stem-worker")
    worker.arguments = [
      "run", "--endpoint", "tcp://127.0.0.1:\(port + 1)", "--server-key", serverKey, "--key",
      keys + "/render.secret", "--name", "render/1", "--scratch", base.path(percentEncoded: false),
      "--models", Service.models.path(percentEncoded: false), "--threads",
      "\(ProcessInfo.processInfo.activeProcessorCount)",
    ]
    worker.standardError = FileHandle.nullDevice
    try worker.run()
    defer { worker.terminate() }

    func connected(_ key: String) -> [String] {
      [
        "--connect", "tcp://127.0.0.1:\(port)", "--server-key", serverKey, "--key",
        "\(keys)/\(key).secret",
      ]
    }
    let clip = base.appending(path: "ball.mp4")
    try Service.clip.get().write(to: clip)
    let job = try Service.run(
      "stemctl",
      [
        "submit", clip.path(percentEncoded: false), "--prompt", "a photo of a purple ball",
        "--steps", "4", "--frames", "2", "--size", "64x64", "--wait",
      ] + connected("studio"))
    let output = base.appending(path: "result").path(percentEncoded: false)
    try Service.run("stemctl", ["fetch", job, "--output", output] + connected("studio"))
    #expect(try Data(contentsOf: URL(filePath: output + "/edited.mp4")) == expected)

    // A key that nobody allowed gets no answer at all.
    let stranger = try ControlClient(
      endpoint: "tcp://127.0.0.1:\(port)",
      security: DaemonAddress(
        remote: "tcp://127.0.0.1:\(port)", serverKey: serverKey,
        keyFile: keys + "/stranger.secret"
      ).security)
    #expect(throws: MessagingError.self) { try stranger.request(.stats, timeout: 1) }
    // A client's key is no operator's, and one that is revoked is nobody's, also when it is
    // connected already.
    let studio = try ControlClient(
      endpoint: "tcp://127.0.0.1:\(port)",
      security: DaemonAddress(
        remote: "tcp://127.0.0.1:\(port)", serverKey: serverKey, keyFile: keys + "/studio.secret"
      ).security)
    guard case .error(let refusal) = try studio.request(.pause) else { throw Service.Unexpected() }
    #expect(refusal.code == .forbidden)
    try Service.run("stemctl", ["keys", "revoke", "studio", "--root", root])
    var last: ControlReply?
    let deadline = Date(timeIntervalSinceNow: 20)
    while Date() < deadline {
      last = try studio.request(.stats)
      if case .error = last { break }
      usleep(200_000)
    }
    guard case .error(let revoked)? = last else { throw Service.Unexpected() }
    #expect(revoked.code == .forbidden)
  }
}

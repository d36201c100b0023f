import EditSettings
import Foundation
import JobQueue
import Messaging
import Synchronization
import Testing

@testable import stem_worker

@Suite struct WorkerLoopTests {
  let folder: TemporaryFolder
  let router: MessageSocket
  static let figures = EditFigures(frames: 1, size: FrameSize(width: 8, height: 8), frameRate: 24)

  init() throws {
    folder = try TemporaryFolder()
    router = try MessageSocket(.router, context: MessagingContext())
    try router.bind(folder.endpoint())
  }

  /// Work that a test prescribes.
  struct Work: EditPerforming {
    let work:
      @Sendable (Assignment, (LogLevel, String) -> Void, (EditProgress) throws -> Void) throws ->
        EditFigures

    func perform(_ assignment: Assignment, _ reports: EditReports) throws -> EditFigures {
      try work(assignment, reports.log, reports.progress)
    }
  }

  func assignment(_ job: String = "j1") -> Assignment {
    Assignment(
      job: JobID(rawValue: job), attempt: 1, settings: EditSettings(prompt: "p"), model: "m",
      files: .shared(
        Assignment.SharedFiles(
          source: "/s", resultFolder: "/r", checkpointFolder: "/c", cacheFolder: "/k",
          cacheBytes: 0, modelFolder: "/m")))
  }

  func tell(_ message: DaemonMessage) throws {
    #expect(try router.send([Data("w".utf8)] + MessageCoding.frames(message)))
  }

  /// The worker's next message that is not a heartbeat.
  func next() throws -> WorkerMessage {
    while true {
      let (message, _) = try MessageCoding.message(
        WorkerMessage.self, from: Array(router.next().dropFirst()))
      if case .heartbeat = message { continue }
      return message
    }
  }

  /// The loop on a thread of its own, until it is told to stop.
  func withLoop(
    _ work:
      @escaping @Sendable (Assignment, (LogLevel, String) -> Void, (EditProgress) throws -> Void)
      throws -> EditFigures,
    _ body: () throws -> Void
  ) throws {
    let connection = try WorkerConnection(endpoint: folder.endpoint(), name: "w", threads: 1)
    let ended = DispatchSemaphore(value: 0)
    Thread {
      WorkerLoop(connection: connection, performer: Work(work: work)).run()
      ended.signal()
    }.start()
    #expect(try next() == .ready(pid: getpid(), threads: 1, spool: true))
    try body()
    try tell(.stop)
    #expect(ended.wait(timeout: .now() + patience) == .success)
  }

  @Test("an assignment's log, progress and figures reach the daemon, and the next one follows")
  func success() throws {
    let progress = EditProgress(stage: .invert, step: 1, steps: 2, frames: 3)
    try withLoop { _, log, report in
      log(.notice, "it begins")
      try report(progress)
      return Self.figures
    } _: {
      for name in ["j1", "j2"] {
        let job = JobID(rawValue: name)
        try tell(.run(assignment(name)))
        #expect(try next() == .log(job: job, level: .notice, message: "it begins"))
        #expect(try next() == .progress(job: job, progress))
        #expect(try next() == .done(job: job, figures: Self.figures))
      }
    }
  }

  @Test("an error becomes a failure with its sentence, and tells whether another attempt may help")
  func failures() throws {
    try withLoop { assignment, _, _ in
      switch assignment.job.rawValue {
      case "bad": throw EditFailure(message: "This is no video.", mayPass: false)
      case "busy": throw EditFailure(message: "Memory is short.", mayPass: true)
      case "full": throw POSIXError(.ENOSPC)
      case "long":
        throw EditFailure(message: String(repeating: "x", count: 3_000_000), mayPass: false)
      default: throw CancellationError()
      }
    } _: {
      let outcomes = try ["bad", "busy", "full", "long", "interrupted"].map { name in
        try tell(.run(assignment(name)))
        return try next()
      }
      #expect(
        outcomes[0]
          == .failed(job: JobID(rawValue: "bad"), error: "This is no video.", mayPass: false))
      #expect(
        outcomes[1]
          == .failed(job: JobID(rawValue: "busy"), error: "Memory is short.", mayPass: true))
      guard case .failed(_, _, mayPass: true, reason: .diskFull) = outcomes[2],
        case .failed(_, let long, mayPass: false, _) = outcomes[3],
        // Nobody cancelled it.
        case .failed(_, _, mayPass: true, reason: nil) = outcomes[4]
      else {
        Issue.record("\(outcomes)")
        return
      }
      #expect(long.count == 4001)
    }
  }

  @Test("a cancelled job stops at its next step and says so")
  func cancellation() throws {
    try withLoop { _, _, report in
      var step = 0
      while true {
        step += 1
        try report(EditProgress(stage: .edit, step: step, steps: .max, frames: 1))
      }
    } _: {
      try tell(.run(assignment()))
      guard case .progress = try next() else {
        Issue.record("no progress")
        return
      }
      try tell(.cancel(job: JobID(rawValue: "j1")))
      var last = try next()
      while case .progress = last { last = try next() }
      #expect(last == .cancelled(job: JobID(rawValue: "j1")))
    }
  }

  @Test("what fails because of a cancellation counts as cancelled")
  func failureByCancellation() throws {
    try withLoop { _, _, report in
      do {
        while true { try report(EditProgress(stage: .edit, step: 1, steps: 2, frames: 1)) }
      } catch {
        throw EditFailure(message: "The decoder was killed.", mayPass: true)
      }
    } _: {
      try tell(.run(assignment()))
      try tell(.cancel(job: JobID(rawValue: "j1")))
      var last = try next()
      while case .progress = last { last = try next() }
      #expect(last == .cancelled(job: JobID(rawValue: "j1")))
    }
  }

  /// Goes on and on, and leaves a checkpoint where it is asked to.
  struct Endless: EditPerforming {
    func perform(_ assignment: Assignment, _ reports: EditReports) throws -> EditFigures {
      var progress = EditProgress(stage: .edit, step: 0, steps: .max, frames: 1)
      while true {
        progress.step += 1
        if reports.wantsCheckpoint() { reports.checkpointed(progress, nil) }
        try reports.progress(progress)
        usleep(1000)
      }
    }
  }

  @Test("told to stop, a worker leaves a checkpoint, says nothing of an outcome, and ends in time")
  func stopped() throws {
    let stopped = Mutex<Bool?>(nil)
    let connection = try WorkerConnection(
      endpoint: folder.endpoint(), name: "w", threads: 1,
      onStop: { inTime in stopped.withLock { $0 = inTime } })
    let ended = DispatchSemaphore(value: 0)
    Thread {
      WorkerLoop(connection: connection, performer: Endless()).run()
      ended.signal()
    }.start()
    _ = try next()
    try tell(.run(assignment()))
    while try next().kind != .progress {}
    try tell(.stop)
    var said: [WorkerMessage] = []
    #expect(ended.wait(timeout: .now() + patience) == .success)
    while let frames = try router.receive() {
      said.append(
        try MessageCoding.message(WorkerMessage.self, from: Array(frames.dropFirst())).0)
    }
    let others = said.filter { message in
      if case .heartbeat = message { false } else { message.kind != .progress }
    }
    guard case .checkpoint(JobID(rawValue: "j1"), _, nil)? = others.first, others.count == 1 else {
      Issue.record("\(others)")
      return
    }
    #expect(eventually { stopped.withLock { $0 } == true })
  }

  @Test("progress is thinned to five messages a second, but every stage is told")
  func throttle() {
    var throttle = ProgressThrottle()
    let start = SuspendingClock.now
    let passed = [
      (EditProgress.Stage.invert, 0), (.invert, 199), (.invert, 200), (.edit, 201), (.edit, 400),
    ].map {
      stage, milliseconds in
      throttle.passes(
        EditProgress(stage: stage, step: milliseconds, steps: 500, frames: 1),
        at: start + .milliseconds(milliseconds))
    }
    #expect(passed == [true, false, true, true, false])
  }

  @Test("the program answers an assignment and ends at once when told to stop")
  func program() throws {
    let process = Process()
    process.executableURL = Program.url("stem-worker")
    process.arguments = [
      "run", "--endpoint", folder.endpoint(), "--name", "w", "--threads", "3", "--parent",
      "\(getpid())",
    ]
    try process.run()
    defer { if process.isRunning { process.terminate() } }
    #expect(try next() == .ready(pid: process.processIdentifier, threads: 3, spool: true))
    try tell(.run(assignment()))
    // There is no clip; what else the program has to say before it finds out is its own affair.
    var message = try next()
    while [.progress, .log].contains(message.kind) { message = try next() }
    #expect(message.kind == .failed)
    try tell(.stop)
    process.waitUntilExit()
    #expect(process.terminationReason == .exit)
    #expect(process.terminationStatus == 0)
  }

  @Test("the program dies with its parent")
  func parentDeath() throws {
    let shell = Process()
    shell.executableURL = URL(filePath: "/bin/sh")
    shell.arguments = [
      "-c", "\"$0\" run --endpoint \"$1\" --name w & wait", Program.url("stem-worker").path,
      folder.endpoint(),
    ]
    try shell.run()
    guard case .ready(let worker, _, _) = try next() else {
      Issue.record("no worker")
      return
    }
    try tell(.heartbeat)
    #expect(kill(shell.processIdentifier, SIGKILL) == 0)
    let isGone = try eventually {
      try !router.send([Data("w".utf8)] + MessageCoding.frames(DaemonMessage.heartbeat))
    }
    #expect(isGone)
    if !isGone { kill(worker, SIGKILL) }
    shell.waitUntilExit()
  }

  @Test("the program can be terminated, whatever signals the thread that started it blocked")
  func termination() throws {
    let process = Process()
    process.executableURL = Program.url("stem-worker")
    process.arguments = ["run", "--endpoint", folder.endpoint(), "--name", "w"]
    var (all, before) = (sigset_t(), sigset_t())
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    try process.run()
    pthread_sigmask(SIG_SETMASK, &before, nil)
    _ = try next()
    #expect(kill(process.processIdentifier, SIGTERM) == 0)
    // Whoever has given it a job may give it to another at once.
    #expect(try next() == .leaving)
    let isGone = try eventually {
      try !router.send([Data("w".utf8)] + MessageCoding.frames(DaemonMessage.heartbeat))
    }
    #expect(isGone)
    if !isGone { kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
  }

  @Test("two workers of one name do not share a scratch folder")
  func sharedScratch() throws {
    let arguments = [
      "run", "--endpoint", folder.endpoint(), "--name", "w", "--no-shared-spool", "--scratch",
      folder.path(""),
    ]
    let first = Process()
    first.executableURL = Program.url("stem-worker")
    first.arguments = arguments
    try first.run()
    defer {
      first.terminate()
      first.waitUntilExit()
    }
    #expect(try next() == .ready(pid: first.processIdentifier, threads: processors, spool: false))
    #expect(
      eventually { FileManager.default.fileExists(atPath: folder.path("stem-worker-w/lock")) })
    let second = try Program.run("stem-worker", arguments)
    #expect(second.status == 1 && second.errors.contains("is used by another worker of this name"))
  }

  private var processors: Int { ProcessInfo.processInfo.activeProcessorCount }

  @Test("a worker whose parent is gone already does not begin")
  func lateBirth() throws {
    let outcome = try Program.run(
      "stem-worker",
      ["run", "--endpoint", folder.endpoint(), "--name", "w", "--parent", "\(Int32.max)"])
    #expect(outcome.status == 1)
    #expect(outcome.errors.contains("is gone."))
  }
}

extension WorkerMessage {
  fileprivate enum Kind { case progress, log, failed, other }

  fileprivate var kind: Kind {
    switch self {
    case .progress: .progress
    case .log: .log
    case .failed: .failed
    case .ready, .heartbeat, .leaving, .checkpoint, .done, .cancelled, .get, .put: .other
    }
  }
}

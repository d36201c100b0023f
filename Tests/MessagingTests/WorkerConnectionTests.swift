import EditSettings
import Foundation
import JobQueue
import Messaging
import Synchronization
import Testing

@Suite struct WorkerConnectionTests {
  let folder: TemporaryFolder
  let context: MessagingContext
  let first = JobID(rawValue: "j1")
  let second = JobID(rawValue: "j2")
  let figures = EditFigures(frames: 1, size: FrameSize(width: 8, height: 8), frameRate: 24)

  init() throws {
    folder = try TemporaryFolder()
    context = try MessagingContext()
  }

  func boundRouter() throws -> MessageSocket {
    let router = try MessageSocket(.router, context: context)
    try router.bind(folder.endpoint())
    return router
  }

  func connect(
    silence: Double = 3600, note: @escaping @Sendable (LogLevel, String) -> Void = { _, _ in },
    activity: @escaping @Sendable () -> Int = { 0 },
    onStop: @escaping @Sendable (Bool) -> Void = { _ in }
  ) throws -> WorkerConnection {
    try WorkerConnection(
      endpoint: folder.endpoint(), name: "worker-1", threads: 2, activity: activity,
      silence: silence,
      note: note,
      onStop: onStop)
  }

  func assignment(_ job: JobID) -> Assignment {
    Assignment(
      job: job, attempt: 1, settings: EditSettings(prompt: "p"), model: "m",
      files: .shared(
        Assignment.SharedFiles(
          source: "/s", resultFolder: "/r", checkpointFolder: "/c", cacheFolder: "/k",
          cacheBytes: 0, modelFolder: "/m")))
  }

  /// The worker's next message that is not an idle heartbeat.
  func next(_ router: MessageSocket, skippingHeartbeats: Bool = true) throws -> WorkerMessage {
    while true {
      let frames = try router.next()
      #expect(frames[0] == Data("worker-1".utf8))
      let (message, _) = try MessageCoding.message(
        WorkerMessage.self, from: Array(frames.dropFirst()))
      if skippingHeartbeats, case .heartbeat = message { continue }
      return message
    }
  }

  func tell(_ router: MessageSocket, _ message: DaemonMessage) throws {
    #expect(try router.send([Data("worker-1".utf8)] + MessageCoding.frames(message)))
  }

  @Test("a worker introduces itself, takes an assignment, and its messages arrive in order")
  func oneJob() throws {
    let router = try boundRouter()
    let worker = try connect()
    #expect(
      try next(router, skippingHeartbeats: false) == .ready(pid: getpid(), threads: 2, spool: true))
    try tell(router, .run(assignment(first)))
    #expect(worker.nextAssignment() == assignment(first))
    let progress = EditProgress(stage: .invert, step: 1, steps: 2, frames: 3)
    worker.send(.log(job: first, level: .info, message: "m"))
    worker.send(.progress(job: first, progress))
    worker.send(.done(job: first, figures: figures))
    #expect(try next(router) == .log(job: first, level: .info, message: "m"))
    #expect(try next(router) == .progress(job: first, progress))
    #expect(try next(router) == .done(job: first, figures: figures))
  }

  @Test("heartbeats go on while the computing thread does not come back, and name its job")
  func heartbeats() throws {
    let router = try boundRouter()
    let worker = try connect()
    _ = try next(router)
    try tell(router, .run(assignment(first)))
    #expect(worker.nextAssignment() == assignment(first))
    let isComputing = Mutex(true)
    let computing = Thread { while isComputing.withLock({ $0 }) {} }
    computing.start()
    defer { isComputing.withLock { $0 = false } }
    // It computes without any sign of getting on: every beat says for how long.
    var quiet = 0.0
    while quiet < 3 {
      let message = try next(router, skippingHeartbeats: false)
      guard case .heartbeat(first, let seconds?) = message else {
        #expect([.heartbeat(job: nil), .heartbeat(job: first)].contains(message))
        continue
      }
      #expect(seconds == quiet + 1)
      quiet = seconds
    }
    worker.send(.done(job: first, figures: figures))
    #expect(try next(router) == .done(job: first, figures: figures))
    #expect(try next(router, skippingHeartbeats: false) == .heartbeat(job: nil))
  }

  @Test("a computation that moves on is not quiet, whatever it sends")
  func activity() throws {
    let router = try boundRouter()
    let count = Mutex(0)
    let isMoving = Mutex(true)
    let worker = try connect(activity: {
      if isMoving.withLock({ $0 }) { count.withLock { $0 += 1 } }
      return count.withLock { $0 }
    })
    _ = try next(router)
    try tell(router, .run(assignment(first)))
    #expect(worker.nextAssignment() == assignment(first))
    for _ in 0..<3 {
      let message = try next(router, skippingHeartbeats: false)
      #expect([.heartbeat(job: nil), .heartbeat(job: first)].contains(message))
    }
    isMoving.withLock { $0 = false }
    while try next(router, skippingHeartbeats: false) != .heartbeat(job: first, quiet: 2) {}
    // What it sends is a sign, too.
    worker.send(.log(job: first, level: .info, message: "m"))
    while try next(router, skippingHeartbeats: false) != .heartbeat(job: first) {}
    while try next(router, skippingHeartbeats: false) != .heartbeat(job: first, quiet: 1) {}
    isMoving.withLock { $0 = true }
    while try next(router, skippingHeartbeats: false) != .heartbeat(job: first) {}
  }

  @Test("a cancellation reaches the job that computes, and no other")
  func cancellation() throws {
    let router = try boundRouter()
    let worker = try connect()
    _ = try next(router)
    try tell(router, .run(assignment(first)))
    #expect(worker.nextAssignment() == assignment(first))
    let token = worker.cancellation(of: first)
    try tell(router, .cancel(job: second))
    // The answer to `introduce` shows that everything before it has been taken in.
    try tell(router, .introduce)
    #expect(try next(router) == .ready(pid: getpid(), threads: 2, spool: true))
    #expect(!token.isCancelled)
    try token.check()
    try tell(router, .cancel(job: first))
    #expect(eventually { token.isCancelled })
    #expect(throws: CancellationError.self) { try token.check() }
    worker.send(.cancelled(job: first))
    #expect(try next(router) == .cancelled(job: first))
    // The same job again is not cancelled by what was.
    try tell(router, .run(assignment(first)))
    #expect(worker.nextAssignment() == assignment(first))
    #expect(!worker.cancellation(of: first).isCancelled)
  }

  @Test("a cancellation between assignment and beginning is not lost")
  func earlyCancellation() throws {
    let router = try boundRouter()
    let worker = try connect()
    _ = try next(router)
    try tell(router, .run(assignment(first)))
    try tell(router, .cancel(job: first))
    try tell(router, .introduce)
    _ = try next(router)
    #expect(worker.nextAssignment() == assignment(first))
    #expect(worker.cancellation(of: first).isCancelled)
  }

  @Test("a daemon that does not know the worker is told again who it is and what it works on")
  func introduction() throws {
    let router = try boundRouter()
    let worker = try connect()
    _ = try next(router)
    try tell(router, .run(assignment(first)))
    _ = worker.nextAssignment()
    try tell(router, .introduce)
    #expect(try next(router) == .ready(pid: getpid(), threads: 2, spool: true))
    #expect(try next(router, skippingHeartbeats: false) == .heartbeat(job: first))
  }

  @Test("the same assignment twice is worked on once")
  func repeatedAssignment() throws {
    let router = try boundRouter()
    let worker = try connect()
    _ = try next(router)
    try tell(router, .run(assignment(first)))
    try tell(router, .run(assignment(first)))
    #expect(worker.nextAssignment() == assignment(first))
    try tell(router, .run(assignment(first)))
    try tell(router, .introduce)
    _ = try next(router)
    #expect(!worker.cancellation(of: first).isCancelled)
    worker.send(.done(job: first, figures: figures))
    try tell(router, .run(assignment(second)))
    #expect(worker.nextAssignment() == assignment(second))
  }

  @Test("another assignment ends the one at hand, and nothing more is said about that")
  func forgottenAssignment() throws {
    let router = try boundRouter()
    let worker = try connect()
    _ = try next(router)
    try tell(router, .run(assignment(first)))
    _ = worker.nextAssignment()
    let token = worker.cancellation(of: first)
    try tell(router, .run(assignment(second)))
    #expect(eventually { token.isCancelled })
    worker.send(.progress(job: first, EditProgress(stage: .edit, step: 1, steps: 2, frames: 3)))
    worker.send(.cancelled(job: first))
    #expect(worker.nextAssignment() == assignment(second))
    worker.send(.done(job: second, figures: figures))
    #expect(try next(router) == .done(job: second, figures: figures))
  }

  @Test(
    "a worker finds a daemon again that was closed and bound anew, and what it had to say is not lost"
  )
  func rebinding() throws {
    var old: MessageSocket? = try boundRouter()
    let worker = try connect(silence: 0.5)
    _ = try next(try #require(old))
    try tell(try #require(old), .run(assignment(first)))
    _ = worker.nextAssignment()
    old = nil
    var new: MessageSocket?
    #expect(
      eventually {
        new = try? boundRouter()
        return new != nil
      })
    worker.send(.done(job: first, figures: figures))
    let router = try #require(new)
    #expect(try eventually { try next(router) == .done(job: first, figures: figures) })
    // Until it is heard, the worker makes its connection anew from time to time: an assignment may
    // miss it.
    let received = Mutex<Assignment?>(nil)
    Thread {
      let assignment = worker.nextAssignment()
      received.withLock { $0 = assignment }
    }.start()
    #expect(
      try eventually {
        _ = try router.send(
          [Data("worker-1".utf8)] + MessageCoding.frames(DaemonMessage.run(assignment(second))))
        return received.withLock { $0 } == assignment(second)
      })
  }

  @Test("a silent daemon is tried again and noted once; what it may not have heard is said again")
  func silence() throws {
    let notes = Mutex<[String]>([])
    let router = try boundRouter()
    let worker = try connect(
      silence: 0.1, note: { level, text in notes.withLock { $0.append("\(level): \(text)") } })
    #expect(try next(router) == .ready(pid: getpid(), threads: 2, spool: true))
    #expect(try next(router) == .ready(pid: getpid(), threads: 2, spool: true))
    worker.send(.failed(job: first, error: "e", mayPass: false))
    #expect(try next(router) == .failed(job: first, error: "e", mayPass: false))
    #expect(try next(router) == .ready(pid: getpid(), threads: 2, spool: true))
    #expect(try next(router) == .failed(job: first, error: "e", mayPass: false))
    #expect(
      notes.withLock { $0 } == [
        "warning: stemd has not been heard for 0 s at \(folder.endpoint()): still trying"
      ])
    // The connection may be made anew just then: until the answer arrives.
    #expect(
      try eventually {
        _ = try router.send([Data("worker-1".utf8)] + MessageCoding.frames(DaemonMessage.heartbeat))
        return notes.withLock {
          $0.contains("notice: stemd is heard again at \(folder.endpoint())")
        }
      })
  }

  @Test("whoever ends the process at a stop does it before the computing thread hears of it")
  func stopComesFirst() throws {
    let router = try boundRouter()
    let hasStopped = Mutex(false)
    let worker = try connect(onStop: { _ in
      usleep(300_000)
      hasStopped.withLock { $0 = true }
    })
    _ = try next(router)
    worker.stop()
    #expect(worker.nextAssignment() == nil)
    #expect(hasStopped.withLock { $0 })
  }

  @Test("stop ends the connection while a computation goes on, after all was sent")
  func stop() throws {
    let router = try boundRouter()
    let stopped = DispatchSemaphore(value: 0)
    let worker = try connect(onStop: { isInTime in
      #expect(!isInTime)
      stopped.signal()
    })
    _ = try next(router)
    try tell(router, .run(assignment(first)))
    _ = worker.nextAssignment()
    worker.send(.log(job: first, level: .error, message: "last words"))
    try tell(router, .stop)
    #expect(stopped.wait(timeout: .now() + patience) == .success)
    #expect(worker.nextAssignment() == nil)
    #expect(worker.nextAssignment() == nil)
    #expect(try next(router) == .log(job: first, level: .error, message: "last words"))
  }

  @Test("what is not understood is noted, and the worker goes on")
  func malformed() throws {
    let notes = Mutex<[String]>([])
    let router = try boundRouter()
    let worker = try connect(note: { _, text in notes.withLock { $0.append(text) } })
    _ = try next(router)
    for body in [
      Data(), Data([0xFF, 0]), Data(#"{"run":{}}"#.utf8), Data(repeating: 0x5B, count: 1 << 20),
    ] {
      #expect(try router.send([Data("worker-1".utf8), ProtocolVersion.frame, body]))
    }
    #expect(try router.send([Data("worker-1".utf8), Data("{}".utf8), Data("{}".utf8)]))
    try tell(router, .run(assignment(first)))
    #expect(worker.nextAssignment() == assignment(first))
    #expect(notes.withLock { $0.count } == 5)
  }

  @Test("a connection that cannot be is refused at once")
  func impossible() throws {
    #expect(throws: MessagingError.self) {
      try WorkerConnection(
        endpoint: "ipc:///" + String(repeating: "x", count: 200), name: "w", threads: 1)
    }
    #expect(throws: MessagingError.self) {
      try WorkerConnection(endpoint: folder.endpoint(), name: "", threads: 1)
    }
  }

  @Test("a connection that nobody holds any more ends its thread's socket")
  func abandoned() throws {
    let router = try boundRouter()
    var worker: WorkerConnection? = try connect()
    _ = try next(router)
    #expect(worker != nil)
    worker = nil
    #expect(
      try eventually {
        try !router.send([Data("worker-1".utf8)] + MessageCoding.frames(DaemonMessage.heartbeat))
      })
  }
}

import Dispatch
import Foundation
import JobQueue
import Synchronization

/// What the computing and the messaging thread of a worker share, and the messaging thread's loop.
final class WorkerLine: Sendable {
  private struct State {
    var outgoing: [(message: WorkerMessage, body: Data?)] = []
    /// Answers to `get` and `put`.
    var arrivals: [(message: DaemonMessage, body: Data?)] = []
    var assignments: [Assignment] = []
    /// The job at hand, from `nextAssignment` to its outcome.
    var current: JobID?
    /// The daemon has forgotten the job at hand: nothing is said about it any more.
    var currentIsForgotten = false
    var cancellations: [JobID: Cancellation] = [:]
    var isClosing = false
    /// Until when the job at hand may take to be left, and whether it was the daemon that said stop.
    var stop: (by: SuspendingClock.Instant, isDaemons: Bool)?
    /// What the computing thread did on this connection.
    var deeds = 0
    /// All that could be seen of its work at the last beat, and the beats since that changed.
    var seen = 0
    var quietBeats = 0
  }

  /// Beyond these, log lines are dropped while the daemon is away.
  private static let mostOutgoing = 10_000

  private let endpoint: String
  private let security: MessageSocket.Security
  private let name: String
  private let threads: Int
  private let spool: Bool
  private let activity: @Sendable () -> Int
  private let silence: Double
  private let note: @Sendable (LogLevel, String) -> Void
  private let state = Mutex(State())
  private let wakeUp: WakeUp
  private let assigned = DispatchSemaphore(value: 0)
  private let arrived = DispatchSemaphore(value: 0)

  init(
    endpoint: String, security: MessageSocket.Security, name: String, threads: Int, spool: Bool,
    activity: @escaping @Sendable () -> Int, silence: Double,
    note: @escaping @Sendable (LogLevel, String) -> Void
  ) throws {
    self.endpoint = endpoint
    self.security = security
    self.name = name
    self.threads = threads
    self.spool = spool
    self.activity = activity
    self.silence = silence
    self.note = note
    self.wakeUp = try WakeUp()
  }

  // MARK: Any thread

  func nextAssignment() -> Assignment? {
    while true {
      assigned.wait()
      let (assignment, isClosing) = state.withLock { state -> (Assignment?, Bool) in
        guard !state.isClosing else { return (nil, true) }
        guard !state.assignments.isEmpty else { return (nil, false) }
        let assignment = state.assignments.removeFirst()
        state.current = assignment.job
        state.currentIsForgotten = false
        state.deeds += 1
        return (assignment, false)
      }
      if isClosing {
        // For whoever asks next.
        assigned.signal()
        return nil
      }
      // A signal without an assignment stands for one that was taken back before it was begun.
      if let assignment { return assignment }
    }
  }

  func cancellation(of job: JobID) -> Cancellation {
    state.withLock { state in
      if let cancellation = state.cancellations[job] { return cancellation }
      let cancellation = Cancellation()
      state.cancellations[job] = cancellation
      return cancellation
    }
  }

  /// The next answer to a `get` or `put`; `nil` when none came in time.
  func nextArrival(within timeout: DispatchTimeInterval) -> (message: DaemonMessage, body: Data?)? {
    guard arrived.wait(timeout: .now() + timeout) == .success else { return nil }
    return state.withLock { $0.arrivals.isEmpty ? nil : $0.arrivals.removeFirst() }
  }

  func send(_ message: WorkerMessage, body: Data? = nil) {
    state.withLock { state in
      state.deeds += 1
      let isAboutForgotten = state.currentIsForgotten && message.job == state.current
      if message.isOutcome, message.job == state.current {
        if let job = state.current, !state.assignments.contains(where: { $0.job == job }) {
          state.cancellations[job] = nil
        }
        state.current = nil
        state.currentIsForgotten = false
      }
      guard !isAboutForgotten else { return }
      if case .progress(let job, _) = message,
        case .progress(job, _)? = state.outgoing.last?.message
      {
        state.outgoing.removeLast()
      }
      if case .log = message, state.outgoing.count >= Self.mostOutgoing { return }
      state.outgoing.append((message, body))
    }
    wakeUp.ring()
  }

  var isStopping: Bool { state.withLock { $0.stop != nil } }

  func leave(_ job: JobID) {
    state.withLock { state in
      guard state.current == job else { return }
      (state.current, state.currentIsForgotten) = (nil, false)
    }
    wakeUp.ring()
  }

  func stop(byDaemon: Bool) {
    state.withLock { state in
      state.assignments = []
      state.stop = state.stop ?? (.now + .seconds(Heartbeat.stop), byDaemon)
    }
    wakeUp.ring()
  }

  func close() {
    state.withLock { $0.isClosing = true }
    assigned.signal()
    wakeUp.ring()
  }

  // MARK: The messaging thread

  /// Runs until the connection is closed or is to stop.
  func run(opened: (MessagingError?) -> Void, onStop: (_ isInTime: Bool) -> Void) {
    var isOpen = false
    var stopped: (isInTime: Bool, isDaemons: Bool)?
    do {
      let context = try MessagingContext()
      var link = try Link(self, context)
      isOpen = true
      opened(nil)
      while !state.withLock({ $0.isClosing }) {
        try link.sendOutgoing(of: self)
        stopped = stopIsDue
        if stopped != nil { break }
        try link.beat(for: self)
        _ = try Poller.wait(
          for: [.socket(link.socket), .descriptor(wakeUp.descriptor)],
          milliseconds: min(link.millisecondsToNextBeat, millisecondsToStop))
        wakeUp.silence()
        while let frames = try link.socket.receive() {
          link.heard(self)
          try take(frames, link)
        }
        if link.isSilent(longerThan: silence) {
          if !link.silenceIsNoted {
            note(
              .warning,
              "stemd has not been heard for \(Int(silence)) s at \(endpoint): still trying"
                + (endpoint.hasPrefix("tcp://")
                  ? "; is it running, is this worker's key allowed there, and is the worker named after it?"
                  : ""))
          }
          link = try Link(self, context, after: link)
        }
      }
      try link.sendOutgoing(of: self)
      if stopped?.isDaemons == false {
        _ = try link.socket.send(MessageCoding.frames(WorkerMessage.leaving))
      }
      // The socket and then its context end here, and their end waits for what is not yet written,
      // though not for long.
    } catch let error as MessagingError {
      isOpen ? note(.error, error.description) : opened(error)
    } catch {
      isOpen ? note(.error, "\(error)") : opened(MessagingError("\(error)"))
    }
    // First: the computing thread would end the process with exit(3), which tears down what this
    // thread still uses.
    if let stopped { onStop(stopped.isInTime) }
    close()
  }

  /// Whether the job at hand is left, or its time is up.
  private var stopIsDue: (isInTime: Bool, isDaemons: Bool)? {
    state.withLock { state in
      guard let stop = state.stop, state.current == nil || SuspendingClock.now >= stop.by else {
        return nil
      }
      return (state.current == nil, stop.isDaemons)
    }
  }

  private var millisecondsToStop: Int {
    state.withLock { $0.stop?.by }.map {
      max(0, Int((($0 - .now) / .milliseconds(1)).rounded(.up)))
    } ?? .max
  }

  private func take(_ frames: [Data], _ link: borrowing Link) throws {
    let message: DaemonMessage
    let body: Data?
    do {
      (message, body) = try MessageCoding.message(DaemonMessage.self, from: frames)
    } catch {
      note(.error, "A message from stemd was not understood. \(error)")
      return
    }
    switch message {
    case .run(let assignment): accept(assignment)
    case .cancel(let job): state.withLock { $0.cancellations[job] }?.cancel()
    case .heartbeat: break
    case .introduce: try link.introduce(self)
    case .stop: stop(byDaemon: true)
    case .data, .stored, .gone:
      state.withLock { $0.arrivals.append((message, body)) }
      arrived.signal()
    }
  }

  /// To be asked once a beat.
  private var heartbeat: WorkerMessage {
    let activity = activity()
    return state.withLock { state in
      let seen = activity &+ state.deeds
      // Beats are counted, not time: while this whole process stands still, so do they.
      state.quietBeats = state.current == nil || seen != state.seen ? 0 : state.quietBeats + 1
      state.seen = seen
      // Also what it has yet to begin, because a step of the job before takes its time to end.
      let job = (state.currentIsForgotten ? nil : state.current) ?? state.assignments.first?.job
      return .heartbeat(
        job: job,
        quiet: state.quietBeats > 0 ? Double(state.quietBeats) * Heartbeat.interval : nil)
    }
  }

  private func accept(_ assignment: Assignment) {
    let isNew = state.withLock { state in
      if state.stop != nil { return false }
      let isAtHand = state.current == assignment.job && !state.currentIsForgotten
      if isAtHand || state.assignments.contains(where: { $0.job == assignment.job }) {
        return false
      }
      if let current = state.current {
        state.cancellations[current]?.cancel()
        state.currentIsForgotten = true
      }
      for forgotten in state.assignments { state.cancellations[forgotten.job] = nil }
      state.assignments = [assignment]
      state.cancellations[assignment.job] = Cancellation()
      return true
    }
    if isNew { assigned.signal() }
  }

  /// One socket, from its connection to its replacement.
  private struct Link {
    let socket: MessageSocket
    private(set) var silenceIsNoted = false
    private var lastHeard = SuspendingClock.now
    private var nextBeat = SuspendingClock.now
    /// Outcomes of which the daemon may not know, since it has not been heard after they were sent.
    private var unheardOutcomes: [WorkerMessage] = []

    init(_ line: WorkerLine, _ context: MessagingContext, after predecessor: Link? = nil) throws {
      socket = try MessageSocket(
        .dealer, context: context, routingID: line.name, lingerMilliseconds: 200,
        security: line.security)
      try socket.connect(line.endpoint)
      try introduce(line)
      guard let predecessor else { return }
      silenceIsNoted = true
      for outcome in predecessor.unheardOutcomes { try send(outcome) }
    }

    /// The first message, and again for a daemon that does not know this worker.
    borrowing func introduce(_ line: WorkerLine) throws {
      _ = try socket.send(
        MessageCoding.frames(
          WorkerMessage.ready(pid: getpid(), threads: line.threads, spool: line.spool)))
      if let job = line.state.withLock({ $0.currentIsForgotten ? nil : $0.current }) {
        _ = try socket.send(MessageCoding.frames(WorkerMessage.heartbeat(job: job)))
      }
    }

    var millisecondsToNextBeat: Int {
      max(0, Int(((nextBeat - .now) / .milliseconds(1)).rounded(.up)))
    }

    mutating func beat(for line: WorkerLine) throws {
      guard SuspendingClock.now >= nextBeat else { return }
      _ = try socket.send(MessageCoding.frames(line.heartbeat))
      nextBeat = .now + .seconds(Heartbeat.interval)
    }

    /// Hands over what the computing thread sent, as far as the socket takes it.
    mutating func sendOutgoing(of line: WorkerLine) throws {
      while let next = line.state.withLock({
        $0.outgoing.isEmpty ? nil : $0.outgoing.removeFirst()
      }) {
        guard try send(next.message, body: next.body) else {
          line.state.withLock { $0.outgoing.insert(next, at: 0) }
          return
        }
      }
    }

    @discardableResult
    private mutating func send(_ message: WorkerMessage, body: Data? = nil) throws -> Bool {
      guard try socket.send(MessageCoding.frames(message, body: body)) else { return false }
      if message.isOutcome { unheardOutcomes.append(message) }
      return true
    }

    mutating func heard(_ line: WorkerLine) {
      lastHeard = .now
      unheardOutcomes = []
      if silenceIsNoted { line.note(.notice, "stemd is heard again at \(line.endpoint)") }
      silenceIsNoted = false
    }

    func isSilent(longerThan seconds: Double) -> Bool {
      SuspendingClock.now - lastHeard > .seconds(seconds)
    }
  }
}

extension WorkerMessage {
  /// The job that it is about.
  var job: JobID? {
    switch self {
    case .ready, .leaving: nil
    case .heartbeat(let job, _): job
    case .progress(let job, _), .checkpoint(let job, _, _), .log(let job, _, _), .done(let job, _),
      .failed(let job, _, _, _), .cancelled(let job), .get(let job, _, _), .put(let job, _, _, _):
      job
    }
  }

  /// Whether it ends the job's work.
  var isOutcome: Bool {
    switch self {
    case .done, .failed, .cancelled: true
    case .ready, .heartbeat, .leaving, .progress, .checkpoint, .log, .get, .put: false
    }
  }
}

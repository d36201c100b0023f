import Foundation
import JobQueue

/// A client's end of the control socket. It belongs to one thread.
public final class ControlClient {
  public let endpoint: String
  private let security: MessageSocket.Security
  private let context: MessagingContext
  /// Made anew after a request that was not answered, so that its late answer is not taken for the
  /// next one's.
  private var socket: MessageSocket?
  /// Several renewals fit into a lease, so that a lost one ends no watch, and a daemon that
  /// restarted soon learns of the watch.
  var secondsBetweenRenewals = Watching.lease / 6

  /// - Parameter endpoint: `SpoolFolders.controlEndpoint`, or `tcp://HOST:PORT` with keys.
  public init(endpoint: String, security: MessageSocket.Security = .local) throws {
    _ = try LocalSocketPath(endpoint: endpoint)
    self.endpoint = endpoint
    self.security = security
    self.context = try MessagingContext()
  }

  /// Asks and waits for the answer, which may be `ControlReply.error`.
  /// - Parameter timeout: Seconds.
  /// - Throws: `MessagingError` where stemd cannot be reached, does not answer in time or answers
  ///   something that is not understood.
  /// - Parameter body: The bytes that the request brings along.
  public func request(_ request: ControlRequest, body: Data? = nil, timeout: Double = 10) throws
    -> ControlReply
  {
    try answer(to: request, body: body, timeout: timeout).reply
  }

  /// The same, with the bytes that the answer brings along.
  public func answer(to request: ControlRequest, body: Data? = nil, timeout: Double = 10) throws
    -> (reply: ControlReply, body: Data?)
  {
    let socket = try connectedSocket()
    do {
      try send(request, body: body, on: socket)
      let deadline = SuspendingClock.now + .seconds(min(timeout, 1e9))
      while let answer = try reply(on: socket, until: deadline) {
        // What is left of an earlier watch.
        if case .event = answer.reply { continue }
        return answer
      }
      throw MessagingError(
        "stemd did not answer at \(endpoint) within \(Int(timeout.rounded(.up))) s: \(doubt)"
      )
    } catch {
      self.socket = nil
      throw error
    }
  }

  /// Passes on how a job fares, or every job, until `receive` returns `false`. A watched job's
  /// present state comes first; a state that was missed because stemd restarted follows within
  /// seconds.
  ///
  /// `receive` must not use this client.
  /// - Parameters:
  ///   - timeout: Seconds until the first answer. Later a silence is borne for as long as the lease
  ///     of the watch.
  ///   - began: Called once the watch is in force: whatever changes from then on is passed on.
  public func events(
    of job: JobID?, timeout: Double = 10, began: () throws -> Void = {},
    receive: (Job) throws -> Bool
  ) throws {
    let socket = try connectedSocket()
    defer {
      // Answers to renewals may still be on their way: the next request starts on a socket of its
      // own.
      _ = try? socket.send(MessageCoding.frames(NamedRequest(.unwatch)))
      self.socket = nil
    }
    var deadline = SuspendingClock.now + .seconds(min(timeout, 1e9))
    var renewal = SuspendingClock.now
    var last: Job?
    var hasBegun = false
    while true {
      if SuspendingClock.now >= renewal {
        try send(.watch(job: job), on: socket)
        if let job { try send(.status(job: job), on: socket) }
        renewal = .now + .seconds(secondsBetweenRenewals)
      }
      guard let reply = try reply(on: socket, until: min(deadline, renewal))?.reply else {
        if SuspendingClock.now >= deadline { throw notAnswering }
        continue
      }
      deadline = .now + .seconds(Watching.lease)
      switch reply {
      case .job(let job, _), .event(let job, _):
        guard job != last else { continue }
        last = job
        guard try receive(job) else { return }
      case .watching where !hasBegun:
        hasBegun = true
        try began()
      case .error(let refusal):
        throw refusal
      default:
        continue
      }
    }
  }

  private var notAnswering: MessagingError {
    MessagingError(
      "stemd does not answer at \(endpoint): \(isElsewhere ? doubt : "is it running with this --root?")"
    )
  }

  private var isElsewhere: Bool { endpoint.hasPrefix("tcp://") }

  /// Who is not let in gets no answer either.
  private var doubt: String {
    isElsewhere
      ? "is it running, and is your key allowed there and not revoked?" : "is it still running?"
  }

  private func connectedSocket() throws -> MessageSocket {
    if let socket { return socket }
    // Without this look, a socket that nobody serves would be told from a busy stemd by the timeout
    // alone.
    switch try LocalSocketPath(endpoint: endpoint)?.occupant() {
    case nil, .listening: break
    case .forbidden:
      throw MessagingError(
        "This user may not talk to stemd at \(endpoint): join the group that the socket belongs to."
      )
    case .nothing, .stale, .otherFile:
      throw notAnswering
    }
    let socket = try MessageSocket(
      .dealer, context: context, lingerMilliseconds: 100, security: security)
    try socket.connect(endpoint)
    self.socket = socket
    return socket
  }

  private func send(_ request: ControlRequest, body: Data? = nil, on socket: MessageSocket) throws {
    guard try socket.send(MessageCoding.frames(NamedRequest(request), body: body)) else {
      throw notAnswering
    }
  }

  /// `nil` when time is up.
  private func reply(on socket: MessageSocket, until deadline: SuspendingClock.Instant) throws
    -> (reply: ControlReply, body: Data?)?
  {
    while true {
      if let frames = try socket.receive() {
        let (named, body) = try MessageCoding.message(NamedReply.self, from: frames)
        return (named.reply, body)
      }
      let milliseconds = (deadline - .now) / .milliseconds(1)
      guard milliseconds > 0 else { return nil }
      _ = try Poller.wait(for: [.socket(socket)], milliseconds: Int(milliseconds.rounded(.up)))
    }
  }
}

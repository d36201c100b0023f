import CZeroMQ
import Foundation

/// A ZeroMQ socket that never blocks. It belongs to the thread that made it: libzmq's sockets are
/// not safe to share.
public final class MessageSocket {
  public enum Kind: Sendable {
    /// Serves many peers. The first frame of every message, received or sent, is the peer's routing
    /// id.
    case router
    /// Talks to one router.
    case dealer
  }

  /// The largest frame in bytes that is sent, unless a socket has another limit.
  public static let largestFrame = 1 << 20
  /// Frames of one message beyond these are thrown away on receipt.
  public static let mostFrames = 16

  /// The largest frame in bytes that is sent. One that is received may have twice as many, so that
  /// its sender can be told about the limit; a peer that sends a still larger one is disconnected.
  public let largestFrame: Int

  let handle: UnsafeMutableRawPointer
  private let kind: Kind
  private let context: MessagingContext
  private let security: Security
  private var isOnlyLocal = true

  /// - Parameters:
  ///   - routingID: By what name the router knows this dealer (1 … 255 bytes, the first not zero);
  ///     a dealer that connects again under the same name takes its predecessor's place. By default
  ///     the router makes one up for every connection.
  ///   - lingerMilliseconds: How long closing waits for messages that are not yet written.
  ///   - security: Who may be at the other end; by default programs of this machine.
  ///   - largestFrame: Bytes.
  /// - Throws: `MessagingError`, also where libzmq was built without CURVE and `security` needs it.
  public init(
    _ kind: Kind, context: MessagingContext, routingID: String? = nil,
    lingerMilliseconds: Int32 = 0, security: Security = .local,
    largestFrame: Int = MessageSocket.largestFrame
  ) throws {
    precondition((1...Int(Int32.max)).contains(largestFrame))
    guard let handle = zmq_socket(context.handle, kind == .router ? ZMQ_ROUTER : ZMQ_DEALER) else {
      throw MessagingError.last("A socket could not be created")
    }
    self.handle = handle
    self.kind = kind
    self.context = context
    self.security = security
    self.largestFrame = largestFrame
    try set(ZMQ_LINGER, lingerMilliseconds)
    // Messages beyond these wait at the sender, whose `send` then says false. Neither this nor the
    // largest frame bounds a message of endlessly many frames, which libzmq holds until it is
    // whole.
    try set(ZMQ_RCVHWM, kind == .router ? 128 : 1000)
    try set(ZMQ_SNDHWM, 1000)
    try withUnsafeBytes(of: 2 * Int64(largestFrame)) { try set(ZMQ_MAXMSGSIZE, $0) }
    switch kind {
    case .router:
      // Without it, a message to a peer that is gone disappears in silence.
      try set(ZMQ_ROUTER_MANDATORY, 1)
      // A restarted worker is let in before the end of its old connection has been noticed. Not
      // where there are strangers: one key must not take the place of another's connection.
      if case .local = security { try set(ZMQ_ROUTER_HANDOVER, 1) }
      // A stranger that connects and stays silent costs a descriptor for so long.
      try set(ZMQ_HANDSHAKE_IVL, 10_000)
      try set(ZMQ_BACKLOG, 512)
    case .dealer:
      try set(ZMQ_RECONNECT_IVL, 50)
      try set(ZMQ_RECONNECT_IVL_MAX, 1000)
    }
    if let routingID {
      let bytes = Array(routingID.utf8)
      guard (1...255).contains(bytes.count), bytes[0] != 0 else {
        throw MessagingError(
          "The name “\(routingID)” cannot name a connection: it must have 1 to 255 bytes.")
      }
      try bytes.withUnsafeBytes { try set(ZMQ_ROUTING_ID, $0) }
    }
    try set(security)
  }

  deinit {
    zmq_close(handle)
  }

  /// Opens the endpoint to others. An `ipc:` socket file gets the permissions `mode`, its owner's
  /// and group's by default; one that a dead program left behind is replaced, one that a living
  /// program serves is not.
  ///
  /// A `tcp:` endpoint takes a socket that asks for keys.
  public func bind(_ endpoint: String, mode: mode_t = 0o660) throws {
    let path = try LocalSocketPath(endpoint: endpoint)
    try prepare(for: endpoint)
    if let path {
      switch path.occupant() {
      // libzmq removes what is there before it binds.
      case .nothing, .stale: break
      case .listening:
        throw MessagingError(
          "The socket \(path.path) is served by another running program: stop that one first, or choose another root."
        )
      case .otherFile:
        throw MessagingError(
          "The socket \(path.path) cannot be opened: a file that is not a socket has its name; move it away."
        )
      case .forbidden:
        throw MessagingError("The socket \(path.path) cannot be opened: this user may not use it.")
      }
    }
    guard zmq_bind(handle, endpoint) == 0 else {
      throw MessagingError.last("The socket \(endpoint) could not be opened")
    }
    if path == nil { isOnlyLocal = false }
    if let path, chmod(path.path, mode) != 0 {
      throw MessagingError(
        "The permissions of the socket \(path.path) could not be set: \(String(cString: zmq_strerror(errno)))."
      )
    }
  }

  /// Connects in the background, now and again after every loss. That nobody serves the endpoint is
  /// no error.
  public func connect(_ endpoint: String) throws {
    _ = try LocalSocketPath(endpoint: endpoint)
    try prepare(for: endpoint)
    guard zmq_connect(handle, endpoint) == 0 else {
      throw MessagingError.last("The socket \(endpoint) could not be connected")
    }
  }

  /// The endpoint that was bound or connected last, with the port that the system chose for
  /// `tcp://HOST:*`.
  public func lastEndpoint() throws -> String {
    var characters = [UInt8](repeating: 0, count: 1024)
    var count = characters.count
    guard zmq_getsockopt(handle, ZMQ_LAST_ENDPOINT, &characters, &count) == 0 else {
      throw MessagingError.last("A socket's endpoint could not be read")
    }
    return String(decoding: characters.prefix { $0 != 0 }, as: UTF8.self)
  }

  /// The options that depend on the transport; they hold for the endpoints that follow.
  private func prepare(for endpoint: String) throws {
    let isRemote = endpoint.hasPrefix("tcp://")
    guard !isRemote || security.asksForKeys else {
      throw MessagingError(
        "The socket \(endpoint) is not used, because on tcp both ends must have keys: make them with 'stemctl keys'."
      )
    }
    // A machine that is gone, or the way to it, frees its descriptor within a minute: the system
    // asks after an idle connection (idle seconds, seconds between three questions), and waits so
    // many milliseconds for what was sent to be acknowledged. libzmq's own heartbeats are no way:
    // they abort the process of a dealer whose messages wait to be read while one is overdue
    // ("_input_stopped", seen with 4.3.4), and take a router's slow reader for dead.
    try set(ZMQ_TCP_KEEPALIVE, isRemote ? 1 : -1)
    try set(ZMQ_TCP_KEEPALIVE_IDLE, isRemote ? 30 : -1)
    try set(ZMQ_TCP_KEEPALIVE_INTVL, isRemote ? 10 : -1)
    try set(ZMQ_TCP_KEEPALIVE_CNT, isRemote ? 3 : -1)
    try set(ZMQ_TCP_MAXRT, isRemote ? 60_000 : 0)
    // Only where it is asked for: a name that has addresses of both kinds would be looked for at
    // the new one alone.
    try set(ZMQ_IPV6, endpoint.contains("[") ? 1 : 0)
  }

  /// Sends one message without ever waiting.
  /// - Returns: `false` if the peer is gone or its queue is full; nothing of the message is sent
  ///   then.
  public func send(_ frames: [Data]) throws -> Bool {
    guard !frames.isEmpty, frames.count <= Self.mostFrames else {
      throw MessagingError(
        "A message must have 1 to \(Self.mostFrames) frames, not \(frames.count).")
    }
    if let tooLarge = frames.first(where: { $0.count > largestFrame }) {
      throw MessagingError(
        "A message of \(tooLarge.count) bytes was not sent: at most \(largestFrame) are.")
    }
    var accepted = true
    for (index, frame) in frames.enumerated() {
      let flags = ZMQ_DONTWAIT | (index + 1 < frames.count ? ZMQ_SNDMORE : 0)
      var result: Int32
      repeat {
        result = frame.withUnsafeBytes { zmq_send(handle, $0.baseAddress, $0.count, flags) }
      } while result < 0 && zmq_errno() == EINTR
      guard result < 0 else { continue }
      switch zmq_errno() {
      case EAGAIN, EHOSTUNREACH:
        accepted = false
        // libzmq has accepted none of the message if its first frame fails. If the peer vanishes in
        // the middle, it swallows frames until the message's last one has passed: hand it all of
        // them, or it would swallow the next message.
        if index == 0 { return false }
      default:
        throw MessagingError.last("A message could not be sent")
      }
    }
    return accepted
  }

  /// The next message that has arrived, whole, or `nil` where none has. Never waits.
  ///
  /// A frame may be longer than `largestFrame`, but not more than twice as long.
  public func receive() throws -> [Data]? { try receiveParts()?.frames }

  /// The same for a router, with who sent it.
  public func receiveFromPeer() throws -> ReceivedMessage? {
    guard let parts = try receiveParts() else { return nil }
    return ReceivedMessage(
      peer: parts.frames.first ?? Data(), frames: Array(parts.frames.dropFirst()),
      key: parts.key, localUser: parts.localUser)
  }

  private typealias Parts = (frames: [Data], key: PeerKey?, localUser: uid_t?)

  private func receiveParts() throws -> Parts? {
    while let parts = try receiveAnyParts() {
      // Nobody without a key gets as far as this; were it otherwise, it would end here.
      if case .curveServer = security, parts.key == nil { continue }
      return parts
    }
    return nil
  }

  private func receiveAnyParts() throws -> Parts? {
    var parts: Parts = ([], nil, nil)
    var more = true
    while more {
      var message = zmq_msg_t()
      zmq_msg_init(&message)
      defer { zmq_msg_close(&message) }
      var size: Int32
      repeat {
        size = zmq_msg_recv(&message, handle, ZMQ_DONTWAIT)
      } while size < 0 && zmq_errno() == EINTR
      guard size >= 0 else {
        if zmq_errno() == EAGAIN { return parts.frames.isEmpty ? nil : parts }
        throw MessagingError.last("A message could not be received")
      }
      if parts.frames.count < Self.mostFrames {
        parts.frames.append(
          size > 0 ? Data(bytes: zmq_msg_data(&message), count: Int(size)) : Data())
      }
      more = zmq_msg_more(&message) != 0
      if !more && kind == .router { (parts.key, parts.localUser) = sender(of: &message) }
    }
    return parts
  }

  /// Who sent a message, as far as the socket can vouch for it: where nobody asked for a key, a peer
  /// may claim to have any.
  private func sender(of message: inout zmq_msg_t) -> (key: PeerKey?, localUser: uid_t?) {
    switch security {
    case .local where isOnlyLocal:
      let address = zmq_msg_gets(&message, "Peer-Address").map { String(cString: $0) }
      return (nil, address.flatMap(Self.localUser(ofAddress:)))
    case .curveServer:
      let userID = zmq_msg_gets(&message, "User-Id").map { String(cString: $0) }
      return (userID.flatMap(PeerKey.init(userID:)), nil)
    case .local, .curveClient:
      return (nil, nil)
    }
  }

  /// libzmq gives a peer on an `ipc:` socket the address `HOST:uid:gid:pid`, by what the kernel
  /// knows of it. Other addresses may look like that (`a:5::b`): to be asked of such a peer only.
  static func localUser(ofAddress address: String) -> uid_t? {
    let parts = address.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 4, gid_t(parts[2]) != nil, pid_t(parts[3]) != nil else { return nil }
    return uid_t(parts[1])
  }

  func set(_ option: Int32, _ value: Int32) throws {
    try withUnsafeBytes(of: value) { try set(option, $0) }
  }

  func set(_ option: Int32, _ value: UnsafeRawBufferPointer) throws {
    guard zmq_setsockopt(handle, option, value.baseAddress, value.count) == 0 else {
      throw MessagingError.last("Option \(option) of a socket could not be set")
    }
  }
}

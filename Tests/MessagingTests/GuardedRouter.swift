import Foundation
import Messaging

/// The daemon's end of a tcp endpoint: a router that asks for keys, and who decides about them.
final class GuardedRouter {
  let keys: KeyFolder
  let pair: CurveKeyPair
  let endpoint: String
  let router: MessageSocket
  let context: MessagingContext
  private let authenticator: Authenticator
  private let log = RefusalLog()

  var refusals: [Authenticator.Refusal] { log.refusals }

  private final class RefusalLog {
    var refusals: [Authenticator.Refusal] = []
  }

  init(_ keys: KeyFolder, _ domain: KeyDomain = .control) throws {
    self.keys = keys
    pair = try keys.makeServerKeyPair()
    context = try MessagingContext()
    let log = log
    authenticator = try Authenticator(context: context, keys: keys) { log.refusals.append($0) }
    router = try MessageSocket(
      .router, context: context, security: .curveServer(secretKey: pair.secretKey, domain: domain))
    try router.bind("tcp://127.0.0.1:*")
    endpoint = try router.lastEndpoint()
  }

  /// The next message, or `nil` if none comes.
  func next(within seconds: Double = patience) throws -> ReceivedMessage? {
    let deadline = Date(timeIntervalSinceNow: seconds)
    repeat {
      try turn()
      if let message = try router.receiveFromPeer() { return message }
    } while Date() < deadline
    return nil
  }

  /// Waits for what may come and answers what libzmq asks.
  func turn(milliseconds: Int = 20) throws {
    _ = try Poller.wait(
      for: [.socket(router), .socket(authenticator.socket)], milliseconds: milliseconds)
    try authenticator.answerRequests()
  }

  /// A peer that has sent `text`.
  func peer(with own: CurveKeyPair, serverKey: String? = nil, saying text: String) throws
    -> MessageSocket
  {
    let socket = try MessageSocket(
      .dealer, context: MessagingContext(),
      security: .curveClient(serverKey: serverKey ?? pair.publicKey, own: own))
    try socket.connect(endpoint)
    _ = try socket.send([Data(text.utf8)])
    return socket
  }
}

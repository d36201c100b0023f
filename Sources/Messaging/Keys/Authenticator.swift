import CZeroMQ
import Foundation

/// Decides whose keys are let in: libzmq asks it about every connection to a socket that asks for
/// keys, by the ZeroMQ Authentication Protocol 1.0 (ZeroMQ's RFC 27).
///
/// One a context, on the thread that polls `socket`. Without it nobody is let in.
public final class Authenticator {
  /// A peer that was not let in.
  public struct Refusal: Sendable, Equatable {
    /// One sentence.
    public var reason: String
    /// Where it came from, as libzmq says it; a stranger has no influence on it.
    public var address: String
    /// What it proved to have, where it proved anything.
    public var publicKey: String?
  }

  private static let endpoint = "inproc://zeromq.zap.01"
  /// Requests that are answered before others of the thread's affairs get their turn.
  private static let requestsInARow = 256

  /// To be polled; `answerRequests` when it has something.
  public let socket: MessageSocket
  private let keys: KeyFolder
  private let onRefusal: (Refusal) -> Void

  /// - Parameters:
  ///   - context: The context of the sockets that ask for keys.
  ///   - onRefusal: Called for every refusal, as often as strangers like: throttle what you log.
  public init(
    context: MessagingContext, keys: KeyFolder, onRefusal: @escaping (Refusal) -> Void = { _ in }
  ) throws {
    socket = try MessageSocket(.router, context: context)
    try socket.bind(Self.endpoint)
    self.keys = keys
    self.onRefusal = onRefusal
  }

  public func answerRequests() throws {
    for _ in 0..<Self.requestsInARow {
      guard let frames = try socket.receive() else { return }
      // A connection that is gone needs no answer.
      if let answer = answer(to: frames) { _ = try socket.send(answer) }
    }
  }

  /// The frames of a request: the asking connection, an empty one, version, request id, domain,
  /// address, routing id, mechanism, and the mechanism's credentials.
  private func answer(to frames: [Data]) -> [Data]? {
    // Nothing can be said to whoever does not leave a way back.
    guard frames.count >= 4, frames[1].isEmpty else {
      onRefusal(Refusal(reason: "A request for authentication is malformed.", address: "unknown"))
      return nil
    }
    let verdict = verdict(on: frames)
    let (status, text, user): (String, String, String)
    switch verdict {
    case .success(let key): (status, text, user) = ("200", "OK", key.userID)
    case .failure(let refused):
      onRefusal(refused.refusal)
      // Why is the daemon's affair.
      (status, text, user) = ("400", "refused", "")
    }
    return [frames[0], Data(), Data("1.0".utf8), frames[3], Data(status.utf8), Data(text.utf8)]
      + [Data(user.utf8), Data()]
  }

  private struct Refused: Error { let refusal: Refusal }

  private func verdict(on frames: [Data]) -> Result<PeerKey, Refused> {
    let address = frames.count > 5 ? String(decoding: frames[5], as: UTF8.self) : "unknown"
    func refused(_ reason: String, key: String? = nil) -> Result<PeerKey, Refused> {
      .failure(Refused(refusal: Refusal(reason: reason, address: address, publicKey: key)))
    }
    guard frames[2] == Data("1.0".utf8), frames.count >= 8 else {
      return refused("A request for authentication is malformed.")
    }
    guard let domain = KeyDomain(rawValue: String(decoding: frames[4], as: UTF8.self)) else {
      return refused("A socket asks for authentication in a domain that does not exist.")
    }
    guard frames[7] == Data("CURVE".utf8) else {
      return refused("A peer came without a CURVE key.")
    }
    guard frames.count == 9, let key = CurveKeyPair.text(ofKey: frames[8]) else {
      return refused("A request for authentication is malformed.")
    }
    guard let peer = keys.peer(ofPublicKey: key, among: domain.roles) else {
      let other = keys.peer(ofPublicKey: key).map { ", but of \($0.keyName)" } ?? ""
      return refused(
        "The key is not one of \(domain == .control ? "a client or an operator" : "a worker")\(other).",
        key: key)
    }
    return .success(peer)
  }
}

extension CurveKeyPair {
  /// A key's 32 bytes as 40 characters of Z85; `nil` where they are not 32.
  static func text(ofKey bytes: Data) -> String? {
    guard bytes.count == 32 else { return nil }
    var text = [CChar](repeating: 0, count: length + 1)
    guard zmq_z85_encode(&text, Array(bytes), bytes.count) != nil else { return nil }
    return String(decoding: text.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

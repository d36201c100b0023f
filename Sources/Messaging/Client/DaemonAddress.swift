/// Where a daemon is found, and how it and its peer know each other.
public struct DaemonAddress: Sendable {
  public var endpoint: String
  public var security: MessageSocket.Security

  public init(endpoint: String, security: MessageSocket.Security = .local) {
    self.endpoint = endpoint
    self.security = security
  }

  /// A daemon on another machine.
  /// - Parameters:
  ///   - endpoint: `tcp://HOST:PORT`.
  ///   - serverKey: The daemon's public key, or the path of a file that holds it.
  ///   - keyFile: The file of one's own secret key, which nobody else may read.
  public init(remote endpoint: String, serverKey: String, keyFile: String) throws {
    guard endpoint.hasPrefix("tcp://"), endpoint.utf8.count > "tcp://".utf8.count else {
      throw MessagingError(
        "A daemon on another machine is at tcp://HOST:PORT, not at “\(endpoint)”.")
    }
    self.init(
      endpoint: endpoint,
      security: .curveClient(
        serverKey: try KeyFile.publicKey(textOrPath: serverKey),
        own: try CurveKeyPair(secretKey: try KeyFile.secretKey(at: keyFile))))
  }
}

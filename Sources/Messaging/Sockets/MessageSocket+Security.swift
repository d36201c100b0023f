import CZeroMQ

extension MessageSocket {
  /// Who may be at the other end.
  public enum Security: Sendable {
    /// Whom the socket file's permissions let in: `ipc:` endpoints only.
    case local
    /// Peers that prove to have a key which the `Authenticator` of the same context lets in.
    case curveServer(secretKey: String, domain: KeyDomain)
    /// The one daemon that has this public key, to which the socket proves to have its own.
    case curveClient(serverKey: String, own: CurveKeyPair)

    /// Whether a peer on another machine is known by its key.
    var asksForKeys: Bool {
      switch self {
      case .local: false
      case .curveServer, .curveClient: true
      }
    }
  }

  func set(_ security: Security) throws {
    switch security {
    case .local: break
    case .curveServer(let secretKey, let domain):
      try CurveKeyPair.requireCurve()
      try set(ZMQ_CURVE_SERVER, 1)
      try set(ZMQ_CURVE_SECRETKEY, key: secretKey, "The daemon's secret key")
      try set(ZMQ_ZAP_DOMAIN, text: domain.rawValue)
      // Otherwise everybody with any key is let in where no authenticator is.
      try set(stem_ZMQ_ZAP_ENFORCE_DOMAIN, 1)
    case .curveClient(let serverKey, let own):
      try CurveKeyPair.requireCurve()
      try set(ZMQ_CURVE_SERVERKEY, key: serverKey, "The daemon's public key")
      try set(ZMQ_CURVE_PUBLICKEY, key: own.publicKey, "The own public key")
      try set(ZMQ_CURVE_SECRETKEY, key: own.secretKey, "The own secret key")
    }
  }

  private func set(_ option: Int32, key: String, _ name: String) throws {
    guard CurveKeyPair.isKey(key) else {
      throw MessagingError("\(name) must have 40 characters of Z85; this one is none.")
    }
    try set(option, text: key)
  }

  private func set(_ option: Int32, text: String) throws {
    let bytes = Array(text.utf8)
    try bytes.withUnsafeBytes { try set(option, $0) }
  }
}

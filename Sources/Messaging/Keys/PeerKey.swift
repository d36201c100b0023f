/// What a key entitles to, from the most powerful on.
public enum KeyRole: String, Sendable, CaseIterable {
  case `operator`, client, worker

  /// The folder of such keys below ROOT/keys.
  public var folderName: String { rawValue + "s" }
}

/// For whom a socket is that asks for keys: its ZAP domain.
public enum KeyDomain: String, Sendable {
  case control, workers

  /// The roles that are let in.
  public var roles: [KeyRole] {
    switch self {
    case .control: [.operator, .client]
    case .workers: [.worker]
    }
  }
}

/// A key that is allowed, and whose it is.
public struct PeerKey: Sendable, Hashable {
  public var role: KeyRole
  public var name: String
  /// 40 characters of Z85.
  public var publicKey: String

  public init(role: KeyRole, name: String, publicKey: String) {
    self.role = role
    self.name = name
    self.publicKey = publicKey
  }

  /// `ROLE/NAME`, as in `client/alice`.
  public var keyName: String { "\(role.rawValue)/\(name)" }

  /// Names are 1 to 64 of the letters a to z and A to Z, digits, `.`, `_` and `-`, and do not start
  /// with a dot.
  public static func isName(_ name: String) -> Bool {
    (1...64).contains(name.utf8.count) && !name.hasPrefix(".")
      && name.utf8.allSatisfy {
        switch UnicodeScalar($0) {
        case "a"..."z", "A"..."Z", "0"..."9", ".", "_", "-": true
        default: false
        }
      }
  }

  /// By what name libzmq hands over the peer's messages: `ROLE/NAME/KEY`. With the key, since
  /// another one may have the name by the time that a message arrives.
  var userID: String { "\(keyName)/\(publicKey)" }

  init?(userID: String) {
    let parts = userID.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, let role = KeyRole(rawValue: String(parts[0])) else { return nil }
    self.init(role: role, name: String(parts[1]), publicKey: String(parts[2]))
  }
}

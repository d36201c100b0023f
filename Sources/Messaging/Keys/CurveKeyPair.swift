import CZeroMQ

/// A CURVE key pair (Curve25519): 32 bytes each, written as 40 characters of Z85 (ZeroMQ's RFC 32).
public struct CurveKeyPair: Sendable, Equatable {
  public let publicKey: String
  public let secretKey: String

  /// Characters of a key.
  static let length = 40

  /// A new pair. Neither key begins with `-`, so that they can be given to any command.
  /// - Throws: `MessagingError` where libzmq was built without CURVE.
  public init() throws {
    try Self.requireCurve()
    var pair: (publicKey: String, secretKey: String)
    repeat {
      pair = try Self.keys("A key pair could not be made") { zmq_curve_keypair($0, $1) }
    } while pair.publicKey.hasPrefix("-") || pair.secretKey.hasPrefix("-")
    (publicKey, secretKey) = pair
  }

  /// The pair that a secret key belongs to.
  /// - Throws: `MessagingError` where it is no key, or libzmq was built without CURVE.
  public init(secretKey: String) throws {
    try Self.requireCurve()
    guard Self.isKey(secretKey) else {
      throw MessagingError("A secret key must have 40 characters of Z85; this one is none.")
    }
    let keys = try Self.keys("A public key could not be computed") { publicKey, _ in
      zmq_curve_public(publicKey, secretKey)
    }
    (self.publicKey, self.secretKey) = (keys.publicKey, secretKey)
  }

  /// Whether a text is 32 bytes written in Z85.
  public static func isKey(_ text: String) -> Bool {
    // Where a zero byte is, the decoder believes the text to end.
    guard text.utf8.count == length, !text.utf8.contains(0) else { return false }
    var bytes = [UInt8](repeating: 0, count: 32)
    return zmq_z85_decode(&bytes, text) != nil
  }

  /// Throws a `MessagingError` where libzmq was built without CURVE.
  static func requireCurve() throws {
    guard zmq_has("curve") != 0 else {
      throw MessagingError(
        "This system's libzmq was built without CURVE, so nobody can connect from another machine: install one that has it."
      )
    }
  }

  private static func keys(
    _ intent: String,
    _ make: (UnsafeMutablePointer<CChar>, UnsafeMutablePointer<CChar>) -> Int32
  ) throws -> (publicKey: String, secretKey: String) {
    // Each is followed by a zero byte.
    var publicKey = [CChar](repeating: 0, count: length + 1)
    var secretKey = publicKey
    let result = publicKey.withUnsafeMutableBufferPointer { publicKey in
      secretKey.withUnsafeMutableBufferPointer { secretKey in
        publicKey.baseAddress.flatMap { first in
          secretKey.baseAddress.map { second in make(first, second) }
        }
      }
    }
    guard result == 0 else { throw MessagingError.last(intent) }
    func text(_ characters: [CChar]) -> String {
      String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    return (text(publicKey), text(secretKey))
  }
}

extension CurveKeyPair: CustomStringConvertible, CustomReflectable {
  /// Without the secret, which must not get into a log.
  public var description: String { "the key pair of \(publicKey)" }
  public var customMirror: Mirror { Mirror(self, children: ["publicKey": publicKey]) }
}

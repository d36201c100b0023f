import CCrypto

/// The SHA-256 of bytes that are fed to it piece by piece; what `sha256sum` prints.
public final class ContentHash {
  private let context: OpaquePointer

  public init() {
    // Nothing but memory can be short.
    guard let context = EVP_MD_CTX_new(), EVP_DigestInit_ex(context, EVP_sha256(), nil) == 1 else {
      preconditionFailure("libcrypto could not begin a SHA-256")
    }
    self.context = context
  }

  deinit { EVP_MD_CTX_free(context) }

  public func update(_ bytes: UnsafeRawBufferPointer) {
    Activity.note()
    precondition(
      EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1,
      "libcrypto could not go on with a SHA-256")
  }

  /// Feeds a text and an end mark, so that two texts differ from one that joins them.
  public func update(_ text: String) {
    var bytes = Array(text.utf8)
    bytes.append(0)
    bytes.withUnsafeBytes(update)
  }

  /// The hash of all that was fed, as 64 hexadecimal digits. Ends the hash.
  public func finish() -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    precondition(
      EVP_DigestFinal_ex(context, &digest, nil) == 1, "libcrypto could not end a SHA-256")
    let digits = Array("0123456789abcdef".utf8)
    return String(
      decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  public static func of(_ bytes: UnsafeRawBufferPointer) -> String {
    let hash = ContentHash()
    hash.update(bytes)
    return hash.finish()
  }
}

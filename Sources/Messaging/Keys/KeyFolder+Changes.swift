import Foundation
import JobQueue

/// What `stemctl keys` does. What root writes belongs to the owner of the folder above, so that the
/// daemon's user may read it.
extension KeyFolder {
  /// The daemon's own pair, which is made where there is none.
  public func makeServerKeyPair() throws -> CurveKeyPair {
    let owner = try makeFolder(path)
    if let pair = try serverKeyPair() {
      if (try? KeyFile.publicKey(at: publicPath)) != pair.publicKey {
        try KeyFile.write(
          pair.publicKey, to: publicPath, mode: 0o644, replacing: true, owner: owner)
      }
      return pair
    }
    let pair = try CurveKeyPair()
    try KeyFile.write(pair.secretKey, to: secretPath, mode: 0o600, replacing: false, owner: owner)
    try KeyFile.write(pair.publicKey, to: publicPath, mode: 0o644, replacing: true, owner: owner)
    return pair
  }

  /// Lets a key in. The same key again is fine.
  /// - Throws: `MessagingError` where the name cannot be one, or has another key in this role.
  public func allow(_ key: PeerKey) throws {
    guard PeerKey.isName(key.name) else { throw Self.invalidName(key.name) }
    guard CurveKeyPair.isKey(key.publicKey) else {
      throw MessagingError("A public key must have 40 characters of Z85; this one is none.")
    }
    _ = try makeFolder(path)
    let owner = try makeFolder(folder(of: key.role))
    let file = "\(folder(of: key.role))/\(key.name)"
    if KeyFile.exists(file) {
      guard (try? KeyFile.publicKey(at: file)) == key.publicKey else {
        throw MessagingError(
          "\(key.keyName) has another key already: revoke that one first, or choose another name.")
      }
      return
    }
    try KeyFile.write(key.publicKey, to: file, mode: 0o640, replacing: false, owner: owner)
  }

  /// Lets whoever has this name in no more. A file is removed whatever is in it.
  /// - Returns: The roles that the name had; none where it was unknown.
  public func revoke(_ name: String, roles: [KeyRole] = KeyRole.allCases) throws -> [KeyRole] {
    guard PeerKey.isName(name) else { throw Self.invalidName(name) }
    return try roles.filter { role in
      guard unlink("\(folder(of: role))/\(name)") == 0 else {
        if errno == ENOENT || errno == ENOTDIR { return false }
        throw MessagingError(
          "The key file \(displayName("\(folder(of: role))/\(name)")) cannot be removed: \(String(cString: strerror(errno)))."
        )
      }
      KeyFile.syncFolder(folder(of: role))
      return true
    }
  }

  private static func invalidName(_ name: String) -> MessagingError {
    MessagingError(
      "“\(displayName(name))” cannot be a key's name: use 1 to 64 letters, digits, '.', '_' and '-', the first not a dot."
    )
  }

  /// - Returns: To whom what is in it is to belong.
  private func makeFolder(_ path: String) throws -> FileOwner? {
    let parent = (path as NSString).deletingLastPathComponent
    let owner = FileOwner(of: parent)
    if mkdir(path, 0o750) == 0 {
      if let owner, lchown(path, owner.user, owner.group) != 0 { throw failure(path, errno) }
      KeyFile.syncFolder(parent)
    } else if errno == ENOENT {
      throw MessagingError(
        "There is no folder \(displayName(parent)): give the daemon's root folder with --root, and start stemd there once or make it."
      )
    } else if errno != EEXIST {
      throw failure(path, errno)
    }
    return owner
  }

  private func failure(_ path: String, _ code: Int32) -> MessagingError {
    MessagingError(
      "The folder \(displayName(path)) cannot be made: \(String(cString: strerror(code))).")
  }
}

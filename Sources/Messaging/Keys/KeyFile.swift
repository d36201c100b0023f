import CLinux
import Foundation
import JobQueue

/// A file that holds one key: 40 characters of Z85, with or without a line's end.
public enum KeyFile {
  /// Bytes that are read of a file: enough to see that there is more than a key in it.
  private static let mostBytes = 64

  /// The public key in a file. A link at the path's end is not followed.
  public static func publicKey(at path: String) throws -> String {
    try key(at: path) { mode in
      guard mode & 0o002 == 0 else {
        throw MessagingError(
          "The key file \(displayName(path)) is not used, because anybody may change it: chmod o-w it."
        )
      }
    }
  }

  /// The secret key in a file. It is not used where anybody but its owner may read it.
  public static func secretKey(at path: String) throws -> String {
    try key(at: path) { mode in
      guard mode & 0o077 == 0 else {
        throw MessagingError(
          "The secret key \(displayName(path)) is not used, because others than its owner may read or change it: chmod 600 it, or make a new one if somebody may have read it."
        )
      }
    }
  }

  /// What a user gives where a public key is asked for: the key itself, or a file that holds it.
  public static func publicKey(textOrPath text: String) throws -> String {
    if CurveKeyPair.isKey(text) { return text }
    guard exists(text) else {
      if text.contains("/") || text.hasSuffix(".public") {
        throw MessagingError(
          "There is no key file “\(displayName(text))”: copy it here from the machine where it was made."
        )
      }
      throw MessagingError(
        "“\(displayName(text))” is neither a public key (40 characters of Z85) nor a file that holds one."
      )
    }
    return try publicKey(at: text)
  }

  /// Writes a new pair to `FOLDER/NAME.secret`, for its owner's eyes only, and `FOLDER/NAME.public`.
  /// - Throws: `MessagingError` where either exists.
  public static func writePair(_ pair: CurveKeyPair, name: String, folder: String) throws {
    let (secret, open) = ("\(folder)/\(name).secret", "\(folder)/\(name).public")
    for path in [secret, open] where exists(path) { throw occupied(path) }
    try write(pair.secretKey, to: secret, mode: 0o600, replacing: false)
    try write(pair.publicKey, to: open, mode: 0o644, replacing: false)
  }

  static func exists(_ path: String) -> Bool {
    var information = stat()
    return lstat(path, &information) == 0
  }

  /// Writes a key aside, syncs it and renames it, so that the file is there whole or not at all.
  static func write(
    _ key: String, to path: String, mode: mode_t, replacing: Bool, owner: FileOwner? = nil
  ) throws {
    let folder = (path as NSString).deletingLastPathComponent
    let aside =
      "\(folder.isEmpty ? "." : folder)/.\((path as NSString).lastPathComponent).\(getpid()).part"
    func failure(_ action: String) -> MessagingError {
      MessagingError(
        "The key file \(displayName(path)) cannot be \(action): \(String(cString: strerror(errno)))."
      )
    }
    unlink(aside)
    let descriptor = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure("written") }
    var isInPlace = false
    defer {
      close(descriptor)
      if !isInPlace { unlink(aside) }
    }
    let bytes = Array((key + "\n").utf8)
    guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count, fchmod(descriptor, mode) == 0,
      owner?.take(descriptor) ?? true, fsync(descriptor) == 0
    else { throw failure("written") }
    if replacing {
      guard rename(aside, path) == 0 else { throw failure("written") }
    } else if renameat2(AT_FDCWD, aside, AT_FDCWD, path, stem_RENAME_NOREPLACE) != 0 {
      if errno == EEXIST { throw occupied(path) }
      // A file system that cannot refuse to replace.
      guard errno == EINVAL || errno == ENOSYS else { throw failure("written") }
      if exists(path) { throw occupied(path) }
      guard rename(aside, path) == 0 else { throw failure("written") }
    }
    isInPlace = true
    syncFolder(folder.isEmpty ? "." : folder)
  }

  /// Puts a folder's names on the disk, where its file system can.
  static func syncFolder(_ path: String) {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    fsync(descriptor)
    close(descriptor)
  }

  private static func occupied(_ path: String) -> MessagingError {
    MessagingError(
      "The key file \(displayName(path)) exists already: choose another name, or move it away.")
  }

  private static func key(at path: String, judging judge: (mode_t) throws -> Void) throws -> String
  {
    let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else {
      switch errno {
      case ENOENT, ENOTDIR: throw MessagingError("There is no key file \(displayName(path)).")
      case ELOOP, ENXIO: throw notRegular(path)
      default:
        throw MessagingError(
          "The key file \(displayName(path)) cannot be read: \(String(cString: strerror(errno))).")
      }
    }
    defer { close(descriptor) }
    var information = stat()
    guard fstat(descriptor, &information) == 0, information.st_mode & S_IFMT == S_IFREG else {
      throw notRegular(path)
    }
    try judge(information.st_mode)
    var bytes = [UInt8](repeating: 0, count: mostBytes)
    let count = read(descriptor, &bytes, bytes.count)
    guard count >= 0 else {
      throw MessagingError(
        "The key file \(displayName(path)) cannot be read: \(String(cString: strerror(errno))).")
    }
    var content = bytes[..<count]
    if content.last == UInt8(ascii: "\n") { content.removeLast() }
    if content.last == UInt8(ascii: "\r") { content.removeLast() }
    guard let key = String(validating: content, as: UTF8.self), CurveKeyPair.isKey(key) else {
      throw MessagingError(
        "The key file \(displayName(path)) holds no key: it must hold 40 characters of Z85 and nothing else."
      )
    }
    return key
  }

  private static func notRegular(_ path: String) -> MessagingError {
    MessagingError(
      "The key file \(displayName(path)) is a link or no file at all, and not used: put a file there."
    )
  }
}

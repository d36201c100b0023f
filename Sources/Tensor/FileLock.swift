import Foundation

/// An exclusive lock among processes, for as long as this lives. Its file is gone with it, unless its
/// process is killed.
final class FileLock {
  private let path: String
  private let descriptor: Int32

  /// - Returns: `nil` where somebody else has it.
  /// - Throws: `DurableFileError`.
  init?(ifFree path: String) throws {
    while true {
      let descriptor = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
      guard descriptor >= 0 else { throw DurableFileError("opened", path) }
      guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
        let code = errno
        close(descriptor)
        if code == EINTR { continue }
        if code == EWOULDBLOCK { return nil }
        throw DurableFileError("locked", path, code: code)
      }
      if Self.isNamed(descriptor, path) {
        (self.path, self.descriptor) = (path, descriptor)
        return
      }
      // Whoever had it took the name away before giving it up.
      close(descriptor)
    }
  }

  /// Waits for whoever has it.
  ///
  /// - Parameter whileWaiting: called some times a second; what it throws ends the waiting.
  /// - Throws: `DurableFileError`, and what `whileWaiting` throws.
  static func waited(for path: String, whileWaiting: () throws -> Void) throws -> FileLock {
    while true {
      if let lock = try FileLock(ifFree: path) { return lock }
      // Somebody else is at work; this process does not hang.
      Activity.note()
      try whileWaiting()
      usleep(50_000)
    }
  }

  deinit {
    unlink(path)
    close(descriptor)
  }

  private static func isNamed(_ descriptor: Int32, _ path: String) -> Bool {
    var (opened, named) = (stat(), stat())
    return fstat(descriptor, &opened) == 0 && lstat(path, &named) == 0
      && opened.st_ino == named.st_ino && opened.st_dev == named.st_dev
  }
}

import Foundation

/// Tells other processes that a file is in use, for as long as this lives.
final class FileUse {
  private let descriptor: Int32

  /// Where the file's system knows no locks, nobody is told.
  init(_ path: String) {
    descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    if descriptor >= 0 { flock(descriptor, LOCK_SH | LOCK_NB) }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Removes a file that nobody has used for some time.
  ///
  /// - Parameter longest: in seconds, since the file was last written, opened as weights, or found
  ///   in use here.
  static func removeIfIdle(_ path: String, longerThan longest: Double) {
    let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0,
      Date.now.timeIntervalSince1970 - Double(status.st_mtim.tv_sec) > longest
    else { return }
    if flock(descriptor, LOCK_EX | LOCK_NB) == 0 {
      unlink(path)
    } else {
      futimens(descriptor, nil)
    }
  }
}

import Foundation

/// An open file, closed at the end of its owner's life.
public struct OpenFile: ~Copyable, Sendable {
  public let descriptor: Int32
  /// For messages.
  public let name: String

  deinit { close(descriptor) }
}

/// Opens a regular file for reading; refuses symlinks, folders, FIFOs, sockets and devices, and
/// never waits for one.
///
/// Only the last component of `path` may not be a symlink; the folders above it are the caller's to
/// trust.
/// - Throws: `VideoFileError` that says what the path is instead, or why it cannot be opened.
public func openVideo(path: String) throws -> OpenFile {
  let name = (path as NSString).lastPathComponent
  return try naming(name) {
    // Looked at first because opening alone can do something: rewind a tape, release who writes to
    // a FIFO.
    var status = stat()
    guard lstat(path, &status) == 0 else { throw cannotOpen(errno) }
    try requireRegularFile(status)
    // Looked at again once open, for it may have been exchanged in between.
    let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw errno == ELOOP ? VideoFailure(.input, symlinkProblem) : cannotOpen(errno)
    }
    let file = OpenFile(descriptor: descriptor, name: name)
    guard fstat(descriptor, &status) == 0 else { throw cannotOpen(errno) }
    try requireRegularFile(status)
    return file
  }
}

/// Creates a file for reading and writing that must not exist yet.
/// - Throws: `VideoFileError`.
func createVideo(path: String) throws -> OpenFile {
  let name = (path as NSString).lastPathComponent
  let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o666)
  guard descriptor >= 0 else {
    let code = errno
    let kind: VideoFileError.Kind = code == EEXIST ? .input : .resources
    throw VideoFileError(
      kind, name: name, problem: "cannot be created: \(String(cString: strerror(code)))")
  }
  return OpenFile(descriptor: descriptor, name: name)
}

private let symlinkProblem =
  "is a symbolic link; videos are read from regular files only, so put the file itself there"

private func cannotOpen(_ code: Int32) -> VideoFailure {
  let passing = [EMFILE, ENFILE, ENOMEM, EIO].contains(code)
  return VideoFailure(
    passing ? .resources : .input, "cannot be opened: \(String(cString: strerror(code)))")
}

private func requireRegularFile(_ status: stat) throws {
  switch status.st_mode & S_IFMT {
  case S_IFREG: return
  case S_IFLNK: throw VideoFailure(.input, symlinkProblem)
  case S_IFDIR: throw VideoFailure(.input, "is a folder, not a video file")
  case S_IFIFO: throw VideoFailure(.input, "is a FIFO (named pipe), not a video file")
  case S_IFSOCK: throw VideoFailure(.input, "is a socket, not a video file")
  default: throw VideoFailure(.input, "is a device, not a video file")
  }
}

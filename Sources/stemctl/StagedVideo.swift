import Foundation

/// A place in the inbox, under a temporary name that the daemon takes no notice of until it is
/// told, for a copy of a video.
struct StagedVideo: Sendable {
  let url: URL
  var name: String { url.lastPathComponent }
  private var path: String { url.path(percentEncoded: false) }

  init(in inbox: URL) {
    let random = String(
      (0..<16).map { _ in "0123456789abcdefghijklmnopqrstuvwxyz".randomElement() ?? "0" })
    url = inbox.appending(path: ".submit-\(random).part", directoryHint: .notDirectory)
  }

  /// Copies a video there and syncs the copy to disk.
  /// - Throws: `CommandFailure` for whatever is not a regular, complete, filled file; nothing is
  ///   left in the inbox then.
  func fill(from video: String) throws {
    // A FIFO must not hold the command up, nor a symlink pass for what it points to.
    let source = open(video, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard source >= 0 else {
      if errno == ELOOP {
        throw CommandFailure("\(video) is a symbolic link: name the video itself.")
      }
      throw CommandFailure.system("\(video) cannot be read")
    }
    defer { close(source) }
    let before = try Self.status(of: source, video)
    switch before.st_mode & S_IFMT {
    case S_IFREG: break
    case S_IFDIR: throw CommandFailure("\(video) is a folder: name one video.")
    default: throw CommandFailure("\(video) is not a regular file: name one video.")
    }
    guard before.st_size > 0 else { throw CommandFailure("\(video) is empty: name a video.") }

    let copy = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard copy >= 0 else {
      throw CommandFailure.system(
        "The inbox \(url.deletingLastPathComponent().path(percentEncoded: false)) cannot be written to"
      )
    }
    do {
      defer { close(copy) }
      try Self.copy(source, video, copy, path)
      let after = try Self.status(of: source, video)
      guard after.st_size == before.st_size, after.st_mtim.tv_sec == before.st_mtim.tv_sec,
        after.st_mtim.tv_nsec == before.st_mtim.tv_nsec
      else {
        throw CommandFailure("\(video) is still being written: submit it when it is complete.")
      }
      // The daemon runs as another user of the inbox's group, whatever this user's umask is; the
      // folder keeps all others out.
      guard fchmod(copy, 0o664) == 0, fsync(copy) == 0 else {
        throw CommandFailure.system("The copy \(path) cannot be completed")
      }
    } catch {
      unlink(path)
      throw error
    }
  }

  /// No error if the daemon has taken it.
  func remove() {
    unlink(path)
  }

  private static func status(of descriptor: Int32, _ path: String) throws -> stat {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw CommandFailure.system("\(path) cannot be read")
    }
    return status
  }

  private static func copy(
    _ source: Int32, _ sourcePath: String, _ destination: Int32, _ destinationPath: String
  ) throws {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    while true {
      let count = read(source, buffer.baseAddress, buffer.count)
      if count == 0 { return }
      guard count > 0 else {
        if errno == EINTR { continue }
        throw CommandFailure.system("\(sourcePath) cannot be read")
      }
      var rest = UnsafeRawBufferPointer(rebasing: buffer[..<count])
      while !rest.isEmpty {
        let written = write(destination, rest.baseAddress, rest.count)
        if written < 0 {
          if errno == EINTR { continue }
          throw CommandFailure.system("The copy \(destinationPath) cannot be written")
        }
        rest = UnsafeRawBufferPointer(rebasing: rest[written...])
      }
    }
  }
}

import CLinux
import Foundation
import JobQueue

/// The folders below which a client may name a clip by its path.
struct SubmitFolders {
  private let folders: [String]

  init(_ folders: [String]) { self.folders = folders }

  /// Opens a regular file below one of the folders; no link on the way below it is followed.
  /// - Returns: its descriptor, the caller's to close, and its size.
  /// - Throws: `Refusal`
  func open(_ path: String) throws -> (descriptor: Int32, size: Int) {
    let shown = displayName(String(path.prefix(200)))
    guard !path.utf8.contains(0), let folder = folders.first(where: { isBelow(path, $0) }) else {
      throw Refusal(
        .forbidden,
        folders.isEmpty
          ? "this stemd takes no clips by path: upload it, or ask the operator to set 'submit_folders'"
          : "\(shown) lies below none of the folders that 'submit_folders' lists: upload it")
    }
    let root = Foundation.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard root >= 0 else { throw refusal(shown) }
    defer { close(root) }
    let below = String(path.dropFirst(folder.count).drop { $0 == "/" })
    // A FIFO must not hold the daemon up.
    let descriptor = stem_openat2_beneath(root, below, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { throw refusal(shown) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw Refusal(.notFound, "\(shown) is not a file")
    }
    guard status.st_size > 0 else {
      close(descriptor)
      throw Refusal(.malformed, "\(shown) is empty")
    }
    return (descriptor, Int(status.st_size))
  }

  private func isBelow(_ path: String, _ folder: String) -> Bool {
    path.hasPrefix(folder.hasSuffix("/") ? folder : folder + "/")
  }

  private func refusal(_ shown: String) -> Refusal {
    switch errno {
    case ELOOP: Refusal(.forbidden, "\(shown) leads over a symbolic link: name the file itself")
    case EXDEV: Refusal(.forbidden, "\(shown) leads out of its folder: name the file itself")
    default:
      Refusal(.notFound, "\(shown) cannot be opened: \(String(cString: strerror(errno)))")
    }
  }
}

import Foundation

/// The file behind an `ipc://` endpoint, and who is at home there.
package struct LocalSocketPath {
  /// What a socket's address takes, without the closing zero byte (`sun_path` holds 108).
  static let longest = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

  let path: String

  package enum Occupant: Equatable {
    /// Nothing exists at the path.
    case nothing
    /// A socket file that its program left behind.
    case stale
    /// A program accepts connections there.
    case listening
    /// A socket that this user may not connect to.
    case forbidden
    /// A file that is no socket.
    case otherFile
  }

  /// `nil` for an endpoint of another transport. Throws for a path that cannot be a socket's.
  package init?(endpoint: String) throws {
    guard endpoint.hasPrefix("ipc://") else { return nil }
    path = String(endpoint.dropFirst("ipc://".count))
    guard path.hasPrefix("/") else {
      throw MessagingError(
        "The socket endpoint \(endpoint) must name an absolute path: ipc:///folder/name.sock.")
    }
    guard !path.utf8.contains(0) else {
      throw MessagingError("A socket's path must not contain a zero byte.")
    }
    let length = path.utf8.count
    guard length <= Self.longest else {
      throw MessagingError(
        "The socket path \(path) is \(length) bytes long and the system takes at most \(Self.longest): choose a root folder with a shorter path."
      )
    }
  }

  package func occupant() -> Occupant {
    var information = stat()
    guard lstat(path, &information) == 0 else { return errno == EACCES ? .forbidden : .nothing }
    guard information.st_mode & S_IFMT == S_IFSOCK else { return .otherFile }
    let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let descriptor = socket(AF_UNIX, type, 0)
    guard descriptor >= 0 else { return .listening }
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard result != 0 else { return .listening }
    switch errno {
    case ECONNREFUSED: return .stale
    case ENOENT: return .nothing
    case EACCES, EPERM: return .forbidden
    // EAGAIN: its queue of connections is full.
    default: return .listening
    }
  }
}

import Foundation
import Glibc

/// A service manager's end of $NOTIFY_SOCKET.
final class NotifySocket {
  let path = FileManager.default.temporaryDirectory.appending(
    path: "notify-\(UUID().uuidString.prefix(8))"
  ).path(percentEncoded: false)
  private let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
  private var told: [String] = []

  init() throws {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { bytes in
      bytes.copyBytes(from: path.utf8.prefix(bytes.count - 1))
    }
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard descriptor >= 0, status == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
  }

  deinit {
    close(descriptor)
    unlink(path)
  }

  /// What was told so far, in its order; `STATUS=…` and `WATCHDOG=1` are messages of their own.
  var messages: [String] {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
      guard count >= 0 else { return told }
      told.append(String(decoding: buffer.prefix(count), as: UTF8.self))
    }
  }
}

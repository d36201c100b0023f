import Foundation
import Glibc
import Synchronization

/// A service manager's end of $NOTIFY_SOCKET. It reads at all times, as systemd does: a queue that is
/// full holds up whoever writes.
final class NotifySocket {
  let path = FileManager.default.temporaryDirectory.appending(
    path: "notify-\(UUID().uuidString.prefix(8))"
  ).path(percentEncoded: false)
  private let told = Told()
  private let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)

  private final class Told: Sendable {
    let messages = Mutex<[String]>([])
  }

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
    Thread { [told, descriptor] in
      var buffer = [UInt8](repeating: 0, count: 1 << 16)
      while true {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { break }
        let message = String(decoding: buffer.prefix(count), as: UTF8.self)
        told.messages.withLock { $0.append(message) }
      }
      close(descriptor)
    }.start()
  }

  deinit {
    unlink(path)
    // Its reader then closes it.
    shutdown(descriptor, Int32(SHUT_RD))
  }

  /// What was told so far, in its order.
  var messages: [String] { told.messages.withLock { $0 } }
}

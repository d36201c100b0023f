import Foundation
import Glibc

/// The receiving end of a datagram socket in the file system. It reads at all times, as systemd and
/// its journal do: a queue that is full holds up whoever writes.
final class DatagramSocket: Sendable {
  let path: String
  private let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)

  /// - Parameter receive: is called for every datagram, in their order, on a thread of its own.
  init(name: String, receive: @escaping @Sendable (ArraySlice<UInt8>) -> Void) throws {
    path = FileManager.default.temporaryDirectory.appending(
      path: "\(name)-\(UUID().uuidString.prefix(8))"
    ).path(percentEncoded: false)
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
    Thread.detachNewThread { [descriptor] in
      var buffer = [UInt8](repeating: 0, count: 1 << 18)
      while true {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { break }
        receive(buffer[..<count])
      }
      close(descriptor)
    }
  }

  deinit {
    unlink(path)
    // Its reader then closes it.
    shutdown(descriptor, Int32(SHUT_RDWR))
  }
}

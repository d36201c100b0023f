import Foundation
import Glibc
import Synchronization
import Testing

/// A journal for one daemon: a socket that stands where the system's does, in a mount namespace of
/// the daemon's own, and understands systemd's native protocol.
final class JournalSocket: Sendable {
  typealias Entry = [String: String]

  /// A program started through it has this journal.
  let launcher: [String]
  private let path: String
  private let descriptor: Int32
  private let received = Mutex<[Entry]>([])

  static let canStandIn = ConditionTrait.enabled(
    if: (try? JournalSocket())?.launches == true, "needs unshare, and the right to mount")

  init() throws {
    path = FileManager.default.temporaryDirectory.appending(
      path: "journal-\(UUID().uuidString.prefix(8))"
    ).path(percentEncoded: false)
    launcher =
      ["unshare"] + (getuid() == 0 ? [] : ["--user", "--map-root-user"]) + [
        "--mount", "sh", "-ec",
        """
        mount -t tmpfs none /run
        mkdir -p /run/systemd/journal
        : > /run/systemd/journal/socket
        mount --bind \(path) /run/systemd/journal/socket
        exec "$@"
        """, "sh",
      ]
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
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
    // Who logs waits while nobody reads.
    Thread.detachNewThread { [weak self, descriptor] in
      var buffer = [UInt8](repeating: 0, count: 1 << 18)
      while true {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0, let self else { return }
        let entry = Self.entry(buffer[..<count])
        self.received.withLock { $0.append(entry) }
      }
    }
  }

  deinit {
    shutdown(descriptor, Int32(SHUT_RDWR))
    unlink(path)
  }

  var entries: [Entry] { received.withLock { $0 } }

  private var launches: Bool {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = launcher + ["true"]
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }

  /// `NAME=value` a line; or, for a value of several lines, `NAME`, and then its length in eight
  /// bytes, itself and a line's end.
  private static func entry(_ bytes: ArraySlice<UInt8>) -> Entry {
    var entry: Entry = [:]
    var rest = bytes
    while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
      let line = rest[rest.startIndex..<end]
      rest = rest[(end + 1)...]
      if let equals = line.firstIndex(of: UInt8(ascii: "=")) {
        entry[String(decoding: line[..<equals], as: UTF8.self)] = String(
          decoding: line[(equals + 1)...], as: UTF8.self)
      } else {
        let length = rest.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        let value = rest.dropFirst(8).prefix(length)
        entry[String(decoding: line, as: UTF8.self)] = String(decoding: value, as: UTF8.self)
        rest = rest.dropFirst(8 + length + 1)
      }
    }
    return entry
  }
}

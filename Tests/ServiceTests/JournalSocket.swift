import Foundation
import Glibc
import Testing

/// A journal for one daemon: a socket that stands where the system's does, in a mount namespace of
/// the daemon's own, and understands systemd's native protocol.
final class JournalSocket: Sendable {
  typealias Entry = [String: String]

  /// A program started through it has this journal.
  let launcher: [String]
  private let socket: DatagramSocket
  private let received: Received<Entry>

  static let canStandIn = ConditionTrait.enabled(
    if: (try? JournalSocket())?.launches == true, "needs unshare, and the right to mount")

  init() throws {
    let received = Received<Entry>()
    socket = try DatagramSocket(name: "journal") { received.append(Self.entry($0)) }
    self.received = received
    launcher =
      ["unshare"] + (getuid() == 0 ? [] : ["--user", "--map-root-user"]) + [
        "--mount", "sh", "-ec",
        """
        mount -t tmpfs none /run
        mkdir -p /run/systemd/journal
        : > /run/systemd/journal/socket
        mount --bind \(socket.path) /run/systemd/journal/socket
        exec "$@"
        """, "sh",
      ]
  }

  var entries: [Entry] { received.all }

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

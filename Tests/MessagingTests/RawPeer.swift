import Foundation
import Glibc
import Testing

/// A peer that speaks ZMTP 3.0 without libzmq, and so may say anything of itself.
final class RawPeer {
  private let descriptor: Int32

  /// - Parameter path: A socket file.
  init(_ path: String) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(result == 0)
  }

  deinit { close(descriptor) }

  /// The greeting, READY with these properties (which must be short), and, once the other side is
  /// ready, a message of one frame.
  func send(metadata: [(String, String)], message: String) throws {
    var bytes: [UInt8] = [0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 0] + Array("NULL".utf8)
    bytes += Array(repeating: 0, count: 64 - bytes.count)
    var ready: [UInt8] = [5] + Array("READY".utf8)
    for (name, value) in metadata {
      ready += [UInt8(name.utf8.count)] + Array(name.utf8)
      ready += [0, 0, 0, UInt8(value.utf8.count)] + Array(value.utf8)
    }
    try send(bytes + [4, UInt8(ready.count)] + ready)
    var answer: [UInt8] = []
    while !answer.dropFirst(64).contains(UInt8(ascii: "Y")) {
      var part = [UInt8](repeating: 0, count: 1000)
      let count = recv(descriptor, &part, part.count, 0)
      try #require(count > 0)
      answer += part[..<count]
    }
    try send([0, UInt8(message.utf8.count)] + Array(message.utf8))
  }

  private func send(_ bytes: [UInt8]) throws {
    try #require(Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count)
  }
}

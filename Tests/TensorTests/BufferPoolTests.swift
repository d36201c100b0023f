import Foundation
import Testing

@testable import Tensor

@Suite struct BufferPoolTests {
  @Test("a buffer that came back is the next one of nearly its size, the latest first")
  func reuse() {
    let pool = BufferPool(limit: 1 << 20)
    let (first, second) = (pool.take(bytes: 1000), pool.take(bytes: 1000))
    #expect(first != second)
    pool.giveBack(first, bytes: 1000)
    pool.giveBack(second, bytes: 1000)
    #expect(pool.idleBytes == 2 * 1024)
    #expect(pool.take(bytes: 1020) == second)
    let other = pool.take(bytes: 1100)
    #expect(other != first)
    #expect(pool.take(bytes: 961) == first)
    #expect(pool.idleBytes == 0)
    for (pointer, bytes) in [(first, 1000), (second, 1000), (other, 1100)] {
      pool.giveBack(pointer, bytes: bytes)
    }
    #expect(pool.idleBytes == 2 * 1024 + 1152)
    pool.empty()
    #expect(pool.idleBytes == 0)
  }

  @Test("beyond the limit what has waited longest goes, and what is too large is not kept")
  func limit() {
    let pool = BufferPool(limit: 10 << 10)
    let buffers = (0..<3).map { _ in pool.take(bytes: 4096) }
    for buffer in buffers { pool.giveBack(buffer, bytes: 4096) }
    #expect(pool.idleBytes == 8192)
    pool.giveBack(pool.take(bytes: 16 << 10), bytes: 16 << 10)
    #expect(pool.idleBytes == 8192)
    // The two that came back last.
    let again = Set([pool.take(bytes: 4096), pool.take(bytes: 4096)])
    #expect(again == Set(buffers[1...]))
    for buffer in again { pool.giveBack(buffer, bytes: 4096) }
    pool.limit(to: 5000)
    #expect(pool.idleBytes == 4096)
    pool.limit(to: 0)
    #expect(pool.idleBytes == 0)
    pool.giveBack(pool.take(bytes: 10), bytes: 10)
    #expect(pool.idleBytes == 0)
  }

  @Test("the share of a process is one of the least that bounds it")
  func share() {
    #expect(BufferPool.share(of: nil) == min(8 << 30, AvailableMemory.bytes / 5))
    #expect(BufferPool.share(of: 100 << 20) == 20 << 20)
    #expect(BufferPool.share(of: .max) == BufferPool.share(of: nil))
    #expect(BufferPool.share(of: 0) == 0)
    #expect(AvailableMemory.bytes <= Int(ProcessInfo.processInfo.physicalMemory))
  }

  @Test("the least limit of a control group and of those around it counts")
  func groups() throws {
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "groups-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let inner = folder.appending(path: "stemd.slice/stemd.service")
    try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: true)
    let membership = folder.appending(path: "membership")
    func limit(_ line: String) throws -> Int? {
      try Data((line + "\n").utf8).write(to: membership)
      return AvailableMemory.groupLimit(
        membership: membership.path(percentEncoded: false),
        groups: folder.path(percentEncoded: false))
    }
    func set(_ url: URL, _ text: String) throws {
      try Data((text + "\n").utf8).write(to: url.appending(path: "memory.max"))
    }
    let line = "3:cpu:/elsewhere\n0::/stemd.slice/stemd.service"
    #expect(try limit(line) == nil)
    try set(inner, "max")
    #expect(try limit(line) == nil)
    try set(inner.deletingLastPathComponent(), "3000")
    #expect(try limit(line) == 3000)
    try set(inner, "5000")
    #expect(try limit(line) == 3000)
    try set(inner, "2000")
    #expect(try limit(line) == 2000)
    // A container's own group is the root that it sees.
    try set(folder, "1000")
    #expect(try limit("0::/") == 1000 && limit(line) == 1000)
    #expect(try limit("4:memory:/stemd.slice") == nil)
  }
}

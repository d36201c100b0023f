import Foundation
import Synchronization

/// Hands out 64-byte aligned memory and keeps what comes back for the next taker.
///
/// A video edit asks for the same few sizes thousands of times; fresh pages from the kernel would
/// cost more than the arithmetic of the smaller layers. Sizes are rounded up to an eighth of a
/// power of two, so that nearly equal requests share buffers.
enum BufferPool {
  private struct Idle {
    /// Of each size, in the order in which they came back.
    var bySize: [Int: [(address: UInt, returned: Int)]] = [:]
    var bytes = 0
    var returns = 0

    mutating func take(_ size: Int) -> UInt? {
      guard let last = bySize[size]?.popLast() else { return nil }
      bytes -= size
      return last.address
    }

    mutating func keep(_ address: UInt, _ size: Int) {
      returns += 1
      bySize[size, default: []].append((address, returns))
      bytes += size
    }

    /// Removes the one that has waited longest.
    mutating func removeOldest() -> UInt? {
      let oldest = bySize.lazy.filter { !$0.value.isEmpty }.min {
        $0.value[0].returned < $1.value[0].returned
      }
      guard let size = oldest?.key else { return nil }
      bytes -= size
      return bySize[size]?.removeFirst().address
    }
  }

  private static let idle = Mutex(Idle())
  /// What is kept at most; beyond it, what has waited longest goes back to the system: the buffers
  /// of a stage that is over, before those of the layers that come round again. A long clip's
  /// buffers are hundreds of megabytes each, and clearing them anew for every layer took a tenth of
  /// the time.
  private static let limit = min(8 << 30, Int(ProcessInfo.processInfo.physicalMemory / 5))
  private static let alignment = 64
  /// From this size on, a buffer lies in huge pages where the system has them: fewer faults, and
  /// fewer misses of the address translation in the products.
  private static let huge = (least: 4 << 20, alignment: 2 << 20)

  /// Uninitialised memory of at least `bytes` bytes.
  static func take(bytes: Int) -> UnsafeMutableRawPointer {
    let size = roundedUp(bytes)
    let kept = idle.withLock { $0.take(size) }
    if let kept, let pointer = UnsafeMutableRawPointer(bitPattern: kept) { return pointer }
    var fresh: UnsafeMutableRawPointer?
    let isHuge = size >= huge.least
    guard posix_memalign(&fresh, isHuge ? huge.alignment : alignment, size) == 0, let fresh else {
      // Nothing sensible is left to do without memory for a result that the caller counts on.
      preconditionFailure("out of memory: \(size) bytes for a tensor could not be had")
    }
    // Its refusal costs nothing but speed.
    if isHuge { madvise(fresh, size, MADV_HUGEPAGE) }
    return fresh
  }

  /// Takes back memory that `take(bytes:)` gave for the same `bytes`.
  static func giveBack(_ pointer: UnsafeMutableRawPointer, bytes: Int) {
    let size = roundedUp(bytes)
    guard size <= limit else { return free(pointer) }
    let address = UInt(bitPattern: pointer)
    let oldest = idle.withLock { idle in
      idle.keep(address, size)
      var oldest: [UInt] = []
      while idle.bytes > limit, let next = idle.removeOldest() { oldest.append(next) }
      return oldest
    }
    for address in oldest { free(UnsafeMutableRawPointer(bitPattern: address)) }
  }

  /// Gives everything that waits for a taker back to the system.
  static func empty() {
    let addresses = idle.withLock { idle in
      defer { idle = Idle() }
      return idle.bySize.values.flatMap { $0.map(\.address) }
    }
    for address in addresses { free(UnsafeMutableRawPointer(bitPattern: address)) }
  }

  private static func roundedUp(_ bytes: Int) -> Int {
    guard bytes > 512 else { return 512 }
    let step = (1 << (Int.bitWidth - 1 - (bytes - 1).leadingZeroBitCount)) >> 3
    return (bytes + step - 1) / step * step
  }
}

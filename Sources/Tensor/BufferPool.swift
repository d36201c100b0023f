import Foundation
import Synchronization

/// Hands out 64-byte aligned memory and keeps what comes back for the next taker.
///
/// A video edit asks for the same few sizes thousands of times; fresh pages from the kernel would
/// cost more than the arithmetic of the smaller layers. Sizes are rounded up to an eighth of a
/// power of two, so that nearly equal requests share buffers.
enum BufferPool {
  private struct Idle {
    var bySize: [Int: [UnsafeMutableRawPointer]] = [:]
    var bytes = 0
  }

  private static let idle = Mutex(Idle())
  /// What is kept at most; beyond it, memory goes back to the system. A long clip's buffers are
  /// hundreds of megabytes each, and clearing them anew for every layer took a tenth of the time.
  private static let limit = min(4 << 30, Int(ProcessInfo.processInfo.physicalMemory / 6))
  private static let alignment = 64
  /// From this size on, a buffer lies in huge pages where the system has them: fewer faults, and
  /// fewer misses of the address translation in the products.
  private static let huge = (least: 4 << 20, alignment: 2 << 20)

  /// Uninitialised memory of at least `bytes` bytes.
  static func take(bytes: Int) -> UnsafeMutableRawPointer {
    let size = roundedUp(bytes)
    let kept = idle.withLock { idle -> UInt? in
      guard let pointer = idle.bySize[size]?.popLast() else { return nil }
      idle.bytes -= size
      return UInt(bitPattern: pointer)
    }
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
    let address = UInt(bitPattern: pointer)
    let keep = idle.withLock { idle in
      guard idle.bytes + size <= limit, let pointer = UnsafeMutableRawPointer(bitPattern: address)
      else { return false }
      idle.bySize[size, default: []].append(pointer)
      idle.bytes += size
      return true
    }
    if !keep { free(pointer) }
  }

  /// Gives everything that waits for a taker back to the system.
  static func empty() {
    let pointers = idle.withLock { idle in
      defer { idle = Idle() }
      return idle.bySize.values.flatMap { $0.map { UInt(bitPattern: $0) } }
    }
    for pointer in pointers { free(UnsafeMutableRawPointer(bitPattern: pointer)) }
  }

  private static func roundedUp(_ bytes: Int) -> Int {
    guard bytes > 512 else { return 512 }
    let step = (1 << (Int.bitWidth - 1 - (bytes - 1).leadingZeroBitCount)) >> 3
    return (bytes + step - 1) / step * step
  }
}

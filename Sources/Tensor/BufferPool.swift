import Glibc
import Synchronization

/// Hands out 64-byte aligned memory and keeps what comes back for the next taker.
///
/// A video edit asks for the same few sizes thousands of times; fresh pages from the kernel would
/// cost more than the arithmetic of the smaller layers. Sizes are rounded up to an eighth of a
/// power of two, so that nearly equal requests share buffers.
final class BufferPool: Sendable {
  static let shared = BufferPool(limit: share(of: nil))

  private struct Idle {
    var limit: Int
    /// Of each size, in the order in which they came back.
    var bySize: [Int: [(address: UInt, returned: Int)]] = [:]
    var bytes = 0
    var returns = 0

    init(limit: Int) { self.limit = limit }

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

    /// Removes those that have waited longest until the limit holds.
    mutating func removeSurplus() -> [UInt] {
      var removed: [UInt] = []
      while bytes > limit, let next = removeOldest() { removed.append(next) }
      return removed
    }

    private mutating func removeOldest() -> UInt? {
      let oldest = bySize.lazy.filter { !$0.value.isEmpty }.min {
        $0.value[0].returned < $1.value[0].returned
      }
      guard let size = oldest?.key else { return nil }
      bytes -= size
      return bySize[size]?.removeFirst().address
    }
  }

  private let idle: Mutex<Idle>
  private static let alignment = 64
  /// From this size on, a buffer lies in huge pages where the system has them: fewer faults, and
  /// fewer misses of the address translation in the products.
  private static let huge = (least: 4 << 20, alignment: 2 << 20)

  /// - Parameter limit: what is kept at most, in bytes; beyond it, what has waited longest goes back
  ///   to the system: the buffers of a stage that is over, before those of the layers that come
  ///   round again.
  init(limit: Int) { idle = Mutex(Idle(limit: limit)) }

  deinit { empty() }

  /// What may be kept by a process that may have so much memory: a long clip's buffers are hundreds
  /// of megabytes each, and clearing them anew for every layer took a tenth of the time.
  static func share(of bytes: Int?) -> Int {
    min(8 << 30, max(0, min(bytes ?? .max, AvailableMemory.bytes)) / 5)
  }

  func limit(to bytes: Int) {
    free(
      idle.withLock { idle in
        idle.limit = bytes
        return idle.removeSurplus()
      })
  }

  /// Uninitialised memory of at least `bytes` bytes.
  func take(bytes: Int) -> UnsafeMutableRawPointer {
    let size = Self.roundedUp(bytes)
    let kept = idle.withLock { $0.take(size) }
    if let kept, let pointer = UnsafeMutableRawPointer(bitPattern: kept) { return pointer }
    var fresh: UnsafeMutableRawPointer?
    let isHuge = size >= Self.huge.least
    guard posix_memalign(&fresh, isHuge ? Self.huge.alignment : Self.alignment, size) == 0,
      let fresh
    else {
      // Nothing sensible is left to do without memory for a result that the caller counts on.
      preconditionFailure("out of memory: \(size) bytes for a tensor could not be had")
    }
    // Its refusal costs nothing but speed.
    if isHuge { madvise(fresh, size, MADV_HUGEPAGE) }
    return fresh
  }

  /// Takes back memory that `take(bytes:)` gave for the same `bytes`.
  func giveBack(_ pointer: UnsafeMutableRawPointer, bytes: Int) {
    let size = Self.roundedUp(bytes)
    let address = UInt(bitPattern: pointer)
    free(
      idle.withLock { idle in
        // It would drive everything else out, and then go itself.
        guard size <= idle.limit else { return [address] }
        idle.keep(address, size)
        return idle.removeSurplus()
      })
  }

  /// Gives everything that waits for a taker back to the system.
  func empty() {
    free(
      idle.withLock { idle in
        defer { idle = Idle(limit: idle.limit) }
        return idle.bySize.values.flatMap { $0.map(\.address) }
      })
  }

  /// Of what waits for a taker.
  var idleBytes: Int { idle.withLock { $0.bytes } }

  private func free(_ addresses: [UInt]) {
    for address in addresses { Glibc.free(UnsafeMutableRawPointer(bitPattern: address)) }
  }

  private static func roundedUp(_ bytes: Int) -> Int {
    guard bytes > 512 else { return 512 }
    let step = (1 << (Int.bitWidth - 1 - (bytes - 1).leadingZeroBitCount)) >> 3
    return (bytes + step - 1) / step * step
  }
}

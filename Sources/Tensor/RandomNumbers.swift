import Foundation

/// Random numbers that depend on nothing but a seed, a stream's name and a position: Philox4x32-10
/// (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
///
/// A stream is named after its use, so that adding a draw in one place changes nothing in another,
/// and a resumed run needs no saved state.
public struct RandomNumbers: Sendable {
  private let key: SIMD2<UInt32>
  private let stream: UInt64

  public init(seed: UInt64, stream: String) {
    key = SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    // FNV-1a: the standard library's hashes differ from run to run.
    self.stream = stream.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }

  /// Four random words at a position of the stream.
  public func words(at position: UInt64) -> SIMD4<UInt32> {
    Self.philox(
      counter: SIMD4(
        UInt32(truncatingIfNeeded: position), UInt32(truncatingIfNeeded: position >> 32),
        UInt32(truncatingIfNeeded: stream),
        UInt32(truncatingIfNeeded: stream >> 32)), key: key)
  }

  package static func philox(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
    var (counter, key) = (counter, key)
    for _ in 0..<10 {
      let a = UInt64(0xd251_1f53) * UInt64(counter[0])
      let b = UInt64(0xcd9e_8d57) * UInt64(counter[2])
      counter = SIMD4(
        UInt32(b >> 32) ^ counter[1] ^ key[0], UInt32(truncatingIfNeeded: b),
        UInt32(a >> 32) ^ counter[3] ^ key[1],
        UInt32(truncatingIfNeeded: a))
      key &+= SIMD2(0x9e37_79b9, 0xbb67_ae85)
    }
    return counter
  }

  /// A whole number in `0 ..< bound`, at a position of the stream.
  public func integer(below bound: Int, at position: UInt64) -> Int {
    let words = words(at: position)
    let wide = UInt64(words[0]) << 32 | UInt64(words[1])
    return Int(wide.multipliedFullWidth(by: UInt64(bound)).high)
  }

  /// Standard-normal numbers from the stream's start, by the Box–Muller transform.
  public func normal(_ shape: [Int]) -> Tensor {
    var result = Tensor(uninitialized: shape)
    let count = result.count
    result.withMutableValues { target in
      for block in 0..<((count + 3) / 4) {
        let words = words(at: UInt64(block))
        for pair in 0..<2 {
          // (0, 1] for the logarithm, [0, 1) for the angle.
          let radius = (-2 * log((Double(words[2 * pair]) + 1) * 0x1p-32)).squareRoot()
          let angle = 2 * Double.pi * Double(words[2 * pair + 1]) * 0x1p-32
          for (part, value) in [radius * cos(angle), radius * sin(angle)].enumerated()
          where block * 4 + pair * 2 + part < count {
            target[block * 4 + pair * 2 + part] = Float(value)
          }
        }
      }
    }
    return result
  }
}

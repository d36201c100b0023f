import CKernels
import Foundation
import Testing

@testable import Tensor

/// The functions between the products on whatever a float can be.
@Suite struct WideRangeTests {
  /// Each magnitude from subnormal to 1e6, and in steps of a twentieth where the functions bend.
  private static let numbers: [Float] =
    (-45...6).flatMap { exponent -> [Float] in
      let magnitude = Float(pow(10, Double(exponent)))
      return [magnitude, -magnitude, 3.7 * magnitude, -3.7 * magnitude]
    } + (-400...400).map { Float($0) / 20 } + [0, -0.0]
  /// Where an exponential has long been nothing or infinite.
  private static let huge: [Float] =
    (80...110).map { Float($0) }
    + (7...38).map { Float(pow(10, Double($0))) } + [.greatestFiniteMagnitude]

  private static func silu(_ x: Double) -> Double { x / (1 + exp(-x)) }
  private static func gelu(_ x: Double) -> Double { x * erfc(-x / 2.0.squareRoot()) / 2 }

  /// Each number's result in every place of rows of 16 + 5: in a vector and in what follows it.
  private func places(
    _ numbers: [Float], _ body: (_ from: [Float], _ to: inout [Float], _ rows: Int) -> Void
  ) -> [(number: Float, results: [Float])] {
    let from = numbers.flatMap { [Float](repeating: $0, count: 21) }
    var to = [Float](repeating: .nan, count: from.count)
    body(from, &to, numbers.count)
    return numbers.enumerated().map { ($1, Array(to[$0 * 21..<($0 + 1) * 21])) }
  }

  private func silu(_ numbers: [Float]) -> [(number: Float, results: [Float])] {
    places(numbers) { from, to, rows in
      kernels_scale_shift(
        from, &to, rows, 21, [Float](repeating: 1, count: 21), [Float](repeating: 0, count: 21),
        true)
    }
  }

  private func gelu(_ numbers: [Float]) -> [(number: Float, results: [Float])] {
    places(numbers) { from, to, rows in
      let gated = (0..<rows).flatMap { row in
        [Float](repeating: 1, count: 21) + from[row * 21..<(row + 1) * 21]
      }
      kernels_geglu(gated, &to, rows, 21)
    }
  }

  private func agrees(_ result: Float, _ exact: Double) -> Bool {
    abs(Double(result) - exact) <= 1e-6 * max(1, abs(exact))
  }

  @Test("SiLU, in a vector and in what follows it, is itself from subnormal to huge numbers")
  func siluRange() {
    for (number, results) in silu(Self.numbers + Self.huge + Self.huge.map { -$0 }) {
      let exact = Self.silu(Double(number))
      #expect(results.allSatisfy { agrees($0, exact) }, "\(number): \(results) for \(exact)")
    }
  }

  @Test("GELU, in a vector and in what follows it, is itself from subnormal to huge numbers")
  func geluRange() {
    for (number, results) in gelu(Self.numbers + Self.huge + Self.huge.map { -$0 }) {
      let exact = Self.gelu(Double(number))
      #expect(results.allSatisfy { agrees($0, exact) }, "\(number): \(results) for \(exact)")
    }
  }

  /// Minus infinity times nothing is no number, as PyTorch has it.
  @Test("what is no number stays none, and infinity stays infinite, through SiLU and GELU")
  func special() {
    let numbers: [Float] = [.nan, -.nan, .infinity, -.infinity]
    for results in [silu(numbers), gelu(numbers)].map({ $0.map(\.results) }) {
      #expect(results[0].allSatisfy { $0.isNaN })
      #expect(results[1].allSatisfy { $0.isNaN })
      #expect(results[2].allSatisfy { $0 == .infinity })
      #expect(results[3].allSatisfy { $0.isNaN }, "\(results[3])")
    }
  }

  @Test("bf16 rounds to nearest even over every exponent, and at every edge of the format")
  func bfloat16() {
    let edges: [UInt32] = [
      0x0000_0000, 0x8000_0000, 0x0000_0001, 0x0000_7fff, 0x0000_8000, 0x0000_8001, 0x0001_8000,
      0x007f_ffff, 0x0080_0000, 0x3f80_7fff, 0x3f80_8000, 0x3f80_8001, 0x3f81_8000, 0x3f81_7fff,
      0x7f7f_7fff, 0x7f7f_8000, 0x7f7f_ffff, 0x7f80_0000, 0xff80_0000, 0x7f80_0001, 0xff80_0001,
      0x7fc0_0000, 0x7fff_ffff, 0xffff_ffff,
    ]
    // Every exponent and sign, with fractions that spread over all of the bits that are cut.
    let bits =
      edges
      + (0..<512).flatMap { exponent in
        (0..<37).map { UInt32(exponent) << 23 | (UInt32($0) &* 0x9e37_79b9) >> 9 }
      }
    let numbers = bits.map { Float(bitPattern: $0) }
    // One more or less than a vector's multiple, for the tail.
    for count in [numbers.count, numbers.count - 1, 1, 15, 17] {
      var result = [UInt16](repeating: 0xaaaa, count: count + 1)
      kernels_to_bfloat16(numbers, &result, count)
      #expect(result[count] == 0xaaaa)
      for index in 0..<count {
        let value = Float(bitPattern: UInt32(result[index]) << 16)
        guard !numbers[index].isNaN else {
          #expect(value.isNaN && value.sign == numbers[index].sign)
          continue
        }
        #expect(result[index] == nearest(numbers[index]), "\(String(bits[index], radix: 16))")
      }
    }
  }

  /// By comparing the distances to both neighbours, in double precision.
  private func nearest(_ number: Float) -> UInt16 {
    let below = UInt16(number.bitPattern >> 16)
    guard number.isFinite, number.bitPattern & 0xffff != 0 else { return below }
    func value(_ bits: UInt16) -> Double {
      // What follows the largest finite number would be 2¹²⁸, if the format had it.
      bits & 0x7fff == 0x7f80
        ? (bits & 0x8000 == 0 ? 1 : -1) * 0x1p128
        : Double(Float(bitPattern: UInt32(bits) << 16))
    }
    let (down, up) = (
      abs(Double(number) - value(below)), abs(value(below + 1) - Double(number))
    )
    return down < up || (down == up && below % 2 == 0) ? below : below + 1
  }
}

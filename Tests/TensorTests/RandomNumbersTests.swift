import Tensor
import Testing

@Suite struct RandomNumbersTests {
  @Test("normal numbers have mean 0 and deviation 1, and are the same at every call")
  func normals() {
    let numbers = RandomNumbers(seed: 1, stream: "a").normal([100_001]).values
    let mean = numbers.reduce(0) { $0 + Double($1) } / Double(numbers.count)
    let variance =
      numbers.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(numbers.count)
    #expect(abs(mean) < 0.01 && abs(variance - 1) < 0.02)
    #expect(RandomNumbers(seed: 1, stream: "a").normal([100_001]).values == numbers)
  }

  @Test("other seeds and other streams are other numbers")
  func seedsAndStreams() {
    let numbers = RandomNumbers(seed: 1, stream: "a").normal([64]).values
    #expect(RandomNumbers(seed: 2, stream: "a").normal([64]).values != numbers)
    #expect(RandomNumbers(seed: 1, stream: "b").normal([64]).values != numbers)
    #expect(RandomNumbers(seed: 1 << 32 + 1, stream: "a").normal([64]).values != numbers)
  }

  @Test("the generator is Philox4x32-10: its authors' known answers")
  func philox() {
    let ones = UInt32.max
    #expect(
      RandomNumbers.philox(counter: SIMD4(0, 0, 0, 0), key: SIMD2(0, 0))
        == SIMD4(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
    #expect(
      RandomNumbers.philox(counter: SIMD4(ones, ones, ones, ones), key: SIMD2(ones, ones))
        == SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
    #expect(
      RandomNumbers.philox(
        counter: SIMD4(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344),
        key: SIMD2(0xa409_3822, 0x299f_31d0))
        == SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
  }

  @Test("whole numbers below a bound reach every value alike")
  func integers() {
    let numbers = RandomNumbers(seed: 3, stream: "keyframes")
    var counts = [Int](repeating: 0, count: 7)
    for position in 0..<7000 { counts[numbers.integer(below: 7, at: UInt64(position))] += 1 }
    #expect(counts.allSatisfy { (850...1150).contains($0) })
  }
}

import Foundation
import Testing

@testable import Tensor

@Suite struct SafetensorsFuzzTests {
  /// SplitMix64: the same mutations on every run.
  private struct Numbers: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9e37_79b9_7f4a_7c15
      var mixed = (state ^ state >> 30) &* 0xbf58_476d_1ce4_e5b9
      mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
      return mixed ^ mixed >> 31
    }
  }

  private static let header =
    #"{"__metadata__":{"format":"pt"},"half":{"dtype":"F16","shape":[3,2],"data_offsets":[0,12]},"brain":{"dtype":"BF16","shape":[2],"data_offsets":[12,16]},"single":{"dtype":"F32","shape":[4],"data_offsets":[16,32]},"double":{"dtype":"F64","shape":[1,1],"data_offsets":[32,40]},"whole":{"dtype":"I64","shape":[1],"data_offsets":[40,48]},"short":{"dtype":"I32","shape":[2],"data_offsets":[48,56]},"none":{"dtype":"F32","shape":[0,7],"data_offsets":[56,56]},"bytes":{"dtype":"U8","shape":[8],"data_offsets":[56,64]}}"#

  private static let tokens = [
    "", "0", "-1", "1e9", "2.0", "true", "null", "NaN", "9223372036854775807",
    "18446744073709551616", "4611686018427387904", "[", "]", "{", "}", "\"", "\\", ",", ":",
    "[0,8]",
    "[[[[", "\\ud800", "\u{0}", "F64", "F4", "I64", "BOOL", "C64", "data_offsets", "__metadata__",
    "\"single\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,32]},",
  ]

  private static func bytes(header: [UInt8], length: UInt64? = nil, data: Int = 64) -> [UInt8] {
    withUnsafeBytes(of: (length ?? UInt64(header.count)).littleEndian) { Array($0) } + header
      + (0..<data).map { UInt8(truncatingIfNeeded: $0 * 37) }
  }

  private static func mutation(_ numbers: inout Numbers) -> [UInt8] {
    var header = Array(header.utf8)
    switch Int.random(in: 0..<6, using: &numbers) {
    case 0:  // Bits anywhere.
      var file = bytes(header: header)
      for _ in 0..<Int.random(in: 1...4, using: &numbers) {
        file[Int.random(in: 0..<file.count, using: &numbers)] ^=
          1 << UInt8.random(in: 0..<8, using: &numbers)
      }
      return file
    case 1:  // Cut short, or with something after it.
      let file = bytes(header: header)
      let count = Int.random(in: 0..<file.count + 20, using: &numbers)
      return Array(file.prefix(count)) + Array(repeating: 7, count: max(0, count - file.count))
    case 2:  // Another length of the header.
      let lengths: [UInt64] = [
        0, 1, 2, .max, .max - 7, 1 << 63, 1 << 32, 100_000_001, UInt64(header.count) - 1,
        UInt64(header.count) + 1, UInt64(header.count) + 64, UInt64(header.count) + 65,
        .random(in: 0...1000, using: &numbers),
      ]
      return bytes(header: header, length: lengths.randomElement(using: &numbers))
    case 3:  // Another number in place of one, often near it.
      for _ in 0..<Int.random(in: 1...2, using: &numbers) {
        let digits = header.indices.filter { (48..<58).contains(header[$0]) }
        guard let place = digits.randomElement(using: &numbers) else { continue }
        header[place] = UInt8.random(in: 48..<58, using: &numbers)
      }
    case 4:  // A word of the format where it does not belong.
      for _ in 0..<Int.random(in: 1...3, using: &numbers) {
        let start = Int.random(in: 0...header.count, using: &numbers)
        let end = min(header.count, start + Int.random(in: 0...12, using: &numbers))
        header.replaceSubrange(
          start..<end, with: Array((tokens.randomElement(using: &numbers) ?? "").utf8))
      }
    default:  // A piece of the header moved or doubled.
      let start = Int.random(in: 0..<header.count, using: &numbers)
      let piece = header[start..<min(header.count, start + Int.random(in: 1...90, using: &numbers))]
      header.insert(contentsOf: piece, at: Int.random(in: 0...header.count, using: &numbers))
    }
    return bytes(header: header, data: [64, 64, 64, 63, 65, 0].randomElement(using: &numbers) ?? 0)
  }

  /// Data that lie before a page that cannot be read: one byte too far ends the test.
  private final class Guarded: FileContents, @unchecked Sendable {
    private let mapping: UnsafeMutableRawPointer
    private let mapped: Int

    init(_ contents: [UInt8]) {
      let page = Int(sysconf(Int32(_SC_PAGESIZE)))
      let room = max(1, (contents.count + page - 1) / page) * page
      mapped = room + page
      mapping = mmap(nil, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      let start = mapping + (room - contents.count)
      contents.withUnsafeBytes {
        start.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(start), byteCount: $0.count)
      }
      mprotect(mapping + room, page, PROT_NONE)
      super.init(bytes: UnsafeRawPointer(start), count: contents.count)
    }

    deinit { munmap(mapping, mapped) }
  }

  @Test("30,000 damaged files are read or refused with their name, and nothing else happens")
  func damagedFiles() throws {
    var numbers = Numbers(state: 20_240)
    let url = URL(fileURLWithPath: "/models/some.safetensors")
    var opened = 0
    for _ in 0..<30_000 {
      do {
        let file = try SafetensorsFile(url, Guarded(Self.mutation(&numbers)))
        opened += 1
        for name in file.names {
          let shape = try #require(file.shape(of: name))
          if let tensor = try? file.tensor(name) {
            #expect(tensor.values.count == shape.reduce(1, *))
          }
          _ = try? file.integers(name)
        }
        _ = file.checksum()
        file.feedSample(to: ContentHash())
      } catch let error as WeightsError {
        #expect(error.description.contains(url.path))
      }
    }
    // Both happen: flipped bits of data and names leave a file whole.
    #expect((300..<15_000).contains(opened), "\(opened) files opened")
  }

  @Test("a file that is whole is read whole")
  func undamaged() throws {
    let file = try SafetensorsFile(
      URL(fileURLWithPath: "/x"), Guarded(Self.bytes(header: Array(Self.header.utf8))))
    #expect(file.names.count == 8 && file.metadata == ["format": "pt"])
    #expect(try file.tensor("none").shape == [0, 7])
    for name in file.names where name != "bytes" { _ = try file.tensor(name) }
    let error = #expect(throws: WeightsError.self) { try file.tensor("bytes") }
    #expect(error?.description.contains("'bytes'") == true)
  }
}

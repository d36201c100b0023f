import Foundation
import Tensor
import Testing

@Suite struct SafetensorsFileTests {
  /// Writes a file of one tensor, or of any header and data.
  private func file(header: String, data: [UInt8], lengthOf declared: Int? = nil) throws -> URL {
    var padded = header
    while padded.utf8.count % 8 != 0 { padded += " " }
    var bytes = Data()
    withUnsafeBytes(of: UInt64(declared ?? padded.utf8.count).littleEndian) {
      bytes.append(contentsOf: $0)
    }
    bytes.append(Data(padded.utf8))
    bytes.append(contentsOf: data)
    let url = FileManager.default.temporaryDirectory.appending(
      path: "\(UUID().uuidString).safetensors")
    try bytes.write(to: url)
    return url
  }

  private func tensor(_ type: String, _ data: [UInt8], shape: [Int]) throws -> [Float] {
    let url = try file(
      header: #"{"x":{"dtype":"\#(type)","shape":\#(shape),"data_offsets":[0,\#(data.count)]}}"#,
      data: data)
    defer { try? FileManager.default.removeItem(at: url) }
    return try SafetensorsFile(url).tensor("x").values
  }

  @Test(
    "single, half and bfloat16 numbers are read as what they are, subnormal, infinite and negative ones too"
  )
  func numberTypes() throws {
    func bytes<T: FixedWidthInteger>(_ words: [T]) -> [UInt8] {
      words.flatMap { word in withUnsafeBytes(of: word.littleEndian) { Array($0) } }
    }
    #expect(
      try tensor("F32", bytes([Float(1.5).bitPattern, Float(-2).bitPattern]), shape: [2]) == [
        1.5, -2,
      ])
    #expect(
      try tensor("BF16", bytes([0x3fc0, 0xc000, 0x7f80] as [UInt16]), shape: [3, 1]) == [
        1.5, -2, .infinity,
      ])
    let halves: [UInt16] = [0x3e00, 0xc000, 0x0001, 0x83ff, 0x7bff, 0xfc00, 0x0000, 0x8000]
    #expect(
      try tensor("F16", bytes(halves), shape: [8]) == [
        1.5, -2, 0x1p-24, -0x1.ff8p-15, 65504, -.infinity, 0, -0.0,
      ])
    #expect(try tensor("F16", bytes([0x7e00] as [UInt16]), shape: [1])[0].isNaN)
    #expect(try tensor("F64", bytes([Double(0.25).bitPattern]), shape: [1]) == [0.25])
  }

  @Test(
    "a damaged file is refused with its name",
    arguments: [
      (#"{"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8, nil),
      (#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}"#, 8, nil),
      (#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8, nil),
      (#"{"x":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, 8, nil),
      (#"{"x":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#, 8, nil),
      (#"{"x":{"shape":[2]}}"#, 8, nil),
      (#"{"x""#, 8, nil), ("{}", 0, 1 << 40),
      (#"{"x":{"dtype":"Q4","shape":[2],"data_offsets":[0,8]}}"#, 8, nil),
    ] as [(String, Int, Int?)])
  func damagedFiles(header: String, bytes: Int, declared: Int?) throws {
    let url = try file(
      header: header, data: [UInt8](repeating: 0, count: bytes), lengthOf: declared)
    defer { try? FileManager.default.removeItem(at: url) }
    let error = #expect(throws: WeightsError.self) { try SafetensorsFile(url) }
    #expect(error?.description.contains(url.lastPathComponent) == true)
  }

  @Test("a file that is missing, empty or a folder is refused")
  func notAFile() throws {
    #expect(throws: WeightsError.self) {
      try SafetensorsFile(URL(fileURLWithPath: "/nonexistent/x.safetensors"))
    }
    #expect(throws: WeightsError.self) {
      try SafetensorsFile(FileManager.default.temporaryDirectory)
    }
  }

  @Test("weights name the tensor that is missing or has another shape")
  func weightsNameWhatIsWrong() throws {
    let url = try file(
      header: #"{"a.b.weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
      data: [UInt8](repeating: 0, count: 8))
    defer { try? FileManager.default.removeItem(at: url) }
    let weights = Weights(try SafetensorsFile(url))["a"]
    #expect(try weights["b"].tensor("weight", shape: [2]).count == 2)
    let missing = #expect(throws: WeightsError.self) { try weights.tensor("c", shape: [2]) }
    #expect(missing?.description.contains("a.c") == true)
    let wrong = #expect(throws: WeightsError.self) { try weights["b"].tensor("weight", shape: [3]) }
    #expect(
      wrong?.description.contains("[2]") == true && wrong?.description.contains("[3]") == true)
  }

  /// Of this process's mappings of a file, in bytes.
  private func resident(_ url: URL) throws -> Int {
    var bytes = 0
    var isOurs = false
    let smaps = try #require(try FileHandle(forReadingAtPath: "/proc/self/smaps")?.readToEnd())
    for line in String(decoding: smaps, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ")
      if !words[0].hasSuffix(":") {
        isOurs = line.contains(url.lastPathComponent)
      } else if isOurs, words[0] == "Rss:", let count = Int(words[1]) {
        bytes += count << 10
      }
    }
    return bytes
  }

  @Test("a sample of a large file leaves nothing of it in memory")
  func sampleIsForgotten() throws {
    let size = 1 << 24
    let url = try file(
      header: #"{"x":{"dtype":"F32","shape":[\#(size / 4)],"data_offsets":[0,\#(size)]}}"#,
      data: [UInt8](repeating: 7, count: size))
    defer { try? FileManager.default.removeItem(at: url) }
    let weights = try SafetensorsFile(url)
    let sum = try weights.tensor("x").values.reduce(0, +)
    #expect(try resident(url) >= size && sum > 0)
    weights.feedSample(to: ContentHash())
    #expect(try resident(url) <= 1 << 16)
    #expect(try weights.tensor("x").values[1] > 0)
  }
}

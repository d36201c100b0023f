import Foundation
import Testing

@testable import VideoFile

/// Videos that are made to crash or to balloon what opens them; all of them small files.
@Suite("Videos that crash or balloon the decoder")
struct HostileVideoTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func refusal(
    _ bytes: some Sequence<UInt8>, _ name: String, maximumPixels: Int = 1_000_000
  ) throws -> VideoFileError {
    let path = try folder.write(bytes, to: name)
    let options = DecodingOptions(size: .source, maximumPixels: maximumPixels)
    let error = try #require(throws: VideoFileError.self) {
      try videoProcess.decode(path: path, options: options)
    }
    #expect(!error.problem.isEmpty && !error.mayPass, "\(error)")
    return error
  }

  @Test("a picture that claims more pixels than it has bytes for is refused by its header")
  func hugePictures() throws {
    let png =
      [0x89] + Array("PNG\r\n".utf8) + [0x1a, 0x0a] + bigEndian(13) + Array("IHDR".utf8)
      + bigEndian(100_000) + bigEndian(100_000) + [8, 2, 0, 0, 0, 0, 0, 0, 0]
    #expect(try refusal(png, "huge.png").kind == .input)
    let gif = Array("GIF89a".utf8) + [0xff, 0xff, 0xff, 0xff, 0, 0, 0] + [0x2c, 0, 0, 0, 0]
    _ = try refusal(gif + [0xff, 0xff, 0xff, 0xff, 0, 2, 1, 0, 0, 0x3b], "huge.gif")
    #expect(
      try refusal(yuv4mpeg(width: 8000, height: 8000, frames: 0), "huge.y4m").kind == .limit)
  }

  @Test("frames that take more memory than the process may have are a limit, on every attempt")
  func balloon() throws {
    let path = try folder.write(
      "YUV4MPEG2 W8000 H8000 F25:1 Ip C444\nFRAME\n".utf8, to: "balloon.y4m")
    // One grey frame of 192 MB that takes no room on the disk.
    #expect(truncate(path, 200_000_000) == 0)
    var process = videoProcess
    process.limits.memoryBytes = 700 << 20
    let error = try #require(throws: VideoFileError.self) {
      try process.decode(path: path, options: DecodingOptions(size: .source))
    }
    #expect(error.kind == .limit)
    #expect(
      error.problem
        == "asks for more memory than a video may take (0.7 GiB); scale it down or write it anew")
  }

  @Test("a movie's table that claims millions of pictures", arguments: [3_000_000, 100_000_000])
  func hugeTables(count: Int32) throws {
    _ = try folder.write(sampleClip(), to: "sample.mp4")
    var bytes = try folder.bytes(of: "sample.mp4")
    // Every picture has one byte, and all are in one chunk.
    for (box, offset, values) in [
      ("stsz", 8, [1, count]), ("stsc", 16, [count]), ("stts", 12, [count]),
    ] {
      let start = try #require(position(of: box, in: bytes)) + offset
      let replacement = values.flatMap { bigEndian($0) }
      bytes.replaceSubrange(start..<start + replacement.count, with: replacement)
    }
    _ = try refusal(bytes, "table.mp4")
  }

  @Test("a movie of thousands of streams, and boxes within boxes")
  func manyStreams() throws {
    _ = try folder.write(sampleClip(), to: "sample.mp4")
    let bytes = try folder.bytes(of: "sample.mp4")
    let (movie, track) = try (
      #require(position(of: "moov", in: bytes)), #require(position(of: "trak", in: bytes))
    )
    func size(at start: Int) -> Int { bytes[start..<start + 4].reduce(0) { $0 << 8 | Int($1) } }
    let copy = bytes[track - 4..<track - 4 + size(at: track - 4)]
    let copies = [UInt8](Array(repeating: copy, count: 5000).joined())
    var many = bytes
    many.insert(contentsOf: copies, at: track - 4)
    many.replaceSubrange(
      movie - 4..<movie, with: bigEndian(Int32(size(at: movie - 4) + copies.count)))
    _ = try refusal(many, "streams.mp4")

    var nested: [UInt8] = []
    for depth in 0..<20_000 {
      nested = bigEndian(Int32(8 * (20_000 - depth))) + Array("moov".utf8) + nested
    }
    _ = try refusal(bytes.prefix(movie - 4) + nested, "nested.mp4")
  }

  @Test("damage anywhere ends in frames or in a sentence, and never in a forbidden call")
  func damage() async throws {
    _ = try folder.write(sampleClip(width: 128, height: 96, frames: 10), to: "sample.mp4")
    let bytes = try folder.bytes(of: "sample.mp4")
    var state: UInt64 = 7
    func random(below limit: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % limit
    }
    for round in 0..<60 {
      var damaged = bytes
      for _ in 0..<(1 << (round % 7)) {
        damaged[random(below: bytes.count)] = UInt8(random(below: 256))
      }
      if round % 4 == 0 { damaged.removeLast(random(below: bytes.count / 2)) }
      let path = try folder.write(damaged, to: "damaged-\(round).mp4")
      do {
        let options = DecodingOptions(size: .source, maximumPixels: 1_000_000)
        #expect(try videoProcess.decode(path: path, options: options).frameCount > 0)
      } catch let error as VideoFileError {
        #expect([.input, .limit].contains(error.kind), "\(error)")
      }
    }
  }
}

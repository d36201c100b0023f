import Foundation

/// How a clip passes from one process to another: a header, a record a frame, and a trailer that
/// tells a complete clip from a sender that died. All numbers are little-endian.
///
///     header   "STEMCLP2", width and height UInt32, time base and frame rate 2 × Int32 each,
///              expected frames Int64, primaries, transfer, matrix, range (0, 1 full, 2 unspecified)
///              UInt8, the file's width and height UInt32, its time of the first frame in
///              microseconds Int64, whether it begins earlier UInt8
///     frame    "F", presentation time Int64, width × height × 3 bytes
///     trailer  "E", frame count Int64, last frame's duration Int64, whether the file may go on
///              UInt8, length UInt32 and text of the warnings, a line each
enum FrameStream {
  static let magic = Array("STEMCLP2".utf8)
  static let headerSize = magic.count + 2 * 4 + 4 * 4 + 8 + 4 + 2 * 4 + 8 + 1
  static let frameTag = UInt8(ascii: "F")
  static let endTag = UInt8(ascii: "E")
  static let longestWarnings = 4096
}

/// Sends a clip; `send` takes all the bytes it is given.
struct FrameStreamWriter: FrameSink {
  let send: (UnsafeRawBufferPointer) throws -> Void

  func begin(_ header: ClipHeader) throws {
    var bytes = FrameStream.magic
    bytes.append(littleEndian: UInt32(header.width))
    bytes.append(littleEndian: UInt32(header.height))
    for rational in [header.timeBase, header.frameRate] {
      bytes.append(littleEndian: rational.numerator)
      bytes.append(littleEndian: rational.denominator)
    }
    bytes.append(littleEndian: Int64(header.expectedFrames))
    let (colors, source) = (header.colors, header.source)
    bytes += [colors.primaries, colors.transfer, colors.matrix]
    bytes.append(colors.isFullRange.map { $0 ? 1 : 0 } ?? 2)
    bytes.append(littleEndian: UInt32(source.width))
    bytes.append(littleEndian: UInt32(source.height))
    bytes.append(littleEndian: Int64(exactly: (source.start * 1e6).rounded()) ?? 0)
    bytes.append(source.isCutBefore ? 1 : 0)
    try bytes.withUnsafeBytes(send)
  }

  func append(pts: Int64, pixels: UnsafeRawBufferPointer) throws {
    var bytes = [FrameStream.frameTag]
    bytes.append(littleEndian: pts)
    try bytes.withUnsafeBytes(send)
    try send(pixels)
  }

  func finish(_ trailer: ClipTrailer) throws {
    var bytes = [FrameStream.endTag]
    bytes.append(littleEndian: Int64(trailer.frameCount))
    bytes.append(littleEndian: trailer.lastFrameDuration)
    bytes.append(trailer.isCutAfter ? 1 : 0)
    let text = Array(
      trailer.warnings.joined(separator: "\n").utf8.prefix(FrameStream.longestWarnings))
    bytes.append(littleEndian: UInt32(text.count))
    try (bytes + text).withUnsafeBytes(send)
  }
}

/// Receives a clip; `receive` fills the buffer, or less of it at the stream's end, and says how
/// many bytes it has got.
struct FrameStreamReader {
  let receive: (UnsafeMutableRawBufferPointer) throws -> Int

  /// The stream ended before its trailer.
  struct Incomplete: Error {}

  /// Passes the whole clip on to `sink`, which judges it.
  /// - Throws: `Incomplete`; a `VideoFailure` where the bytes make no sense; what `sink` throws.
  func copy(to sink: inout some FrameSink) throws {
    var bytes = try read(FrameStream.headerSize)
    guard bytes.take(FrameStream.magic.count) == FrameStream.magic[...] else { throw Self.nonsense }
    let (width, height) = (Int(bytes.take(UInt32.self)), Int(bytes.take(UInt32.self)))
    guard (1...DecodingOptions.longestSide).contains(width),
      (1...DecodingOptions.longestSide).contains(height)
    else {
      throw Self.nonsense
    }
    let timeBase = Rational(bytes.take(Int32.self), bytes.take(Int32.self))
    let frameRate = Rational(bytes.take(Int32.self), bytes.take(Int32.self))
    let expectedFrames = Int(bytes.take(Int64.self))
    let tags = Array(bytes.take(4))
    let source = ClipSource(
      width: Int(bytes.take(UInt32.self)), height: Int(bytes.take(UInt32.self)),
      start: Double(bytes.take(Int64.self)) / 1e6, isCutBefore: bytes.take(UInt8.self) == 1)
    let header = ClipHeader(
      width: width, height: height, timeBase: timeBase, frameRate: frameRate,
      expectedFrames: expectedFrames,
      colors: ColorTags(
        primaries: tags[0], transfer: tags[1], matrix: tags[2],
        isFullRange: tags[3] == 2 ? nil : tags[3] == 1), source: source)
    try sink.begin(header)

    let pixels = UnsafeMutableRawBufferPointer.allocate(
      byteCount: header.bytesPerFrame, alignment: 64)
    defer { pixels.deallocate() }
    while true {
      var record = try read(1 + 8)
      let tag = record.take(1).first
      let number = record.take(Int64.self)
      if tag == FrameStream.frameTag {
        guard try receive(pixels) == pixels.count else { throw Incomplete() }
        try sink.append(pts: number, pixels: UnsafeRawBufferPointer(pixels))
      } else if tag == FrameStream.endTag {
        var rest = try read(8 + 1 + 4)
        let duration = rest.take(Int64.self)
        let isCutAfter = rest.take(UInt8.self) == 1
        let length = Int(rest.take(UInt32.self))
        guard length <= FrameStream.longestWarnings else { throw Self.nonsense }
        let text = String(decoding: try read(length), as: UTF8.self)
        let warnings = text.split(separator: "\n").map { printable($0) }
        return try sink.finish(
          ClipTrailer(
            frameCount: Int(number), lastFrameDuration: duration, isCutAfter: isCutAfter,
            warnings: warnings))
      } else {
        throw Self.nonsense
      }
    }
  }

  private func read(_ count: Int) throws -> ArraySlice<UInt8> {
    var bytes = [UInt8](repeating: 0, count: count)
    guard try count == 0 || bytes.withUnsafeMutableBytes(receive) == count else {
      throw Incomplete()
    }
    return bytes[...]
  }

  private static let nonsense = VideoFailure(
    .crashed, "was not decoded: the decoder sent something else than frames")
}

/// A text from a process that is not trusted, fit for a log line.
func printable(_ text: some StringProtocol) -> String {
  String(
    text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : Character($0) })
}

extension [UInt8] {
  fileprivate mutating func append(littleEndian value: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
  }
}

extension ArraySlice<UInt8> {
  fileprivate mutating func take(_ count: Int) -> ArraySlice<UInt8> {
    defer { removeFirst(count) }
    return prefix(count)
  }

  fileprivate mutating func take<Integer: FixedWidthInteger>(_: Integer.Type) -> Integer {
    take(MemoryLayout<Integer>.size).reversed().reduce(0) {
      $0 << 8 | Integer(truncatingIfNeeded: $1)
    }
  }
}

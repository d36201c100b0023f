import Foundation

@testable import VideoFile

/// A folder of its own for each test, gone with it.
final class TemporaryFolder {
  let path: String

  init() throws {
    path =
      FileManager.default.temporaryDirectory.appendingPathComponent(
        "video-file-tests-\(UUID().uuidString)"
      ).path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { path + "/" + name }

  func write(_ bytes: some Sequence<UInt8>, to name: String) throws -> String {
    let path = file(name)
    // Not through a URL: names with every character must arrive as they are.
    guard FileManager.default.createFile(atPath: path, contents: Data(bytes)) else {
      throw CocoaError(.fileWriteUnknown)
    }
    return path
  }

  /// Encodes in this process.
  func write(
    _ clip: VideoClip, to name: String, options: EncodingOptions = EncodingOptions()
  ) throws -> String {
    let file = try createVideo(path: file(name))
    try VideoEncoder.encode(clip, descriptor: file.descriptor, name: name, options: options)
    return self.file(name)
  }

  func bytes(of name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: file(name))))
  }
}

/// Decodes in this process.
func decode(_ path: String, _ options: DecodingOptions = DecodingOptions(size: .source)) throws
  -> VideoClip
{
  let file = try openVideo(path: path)
  return try VideoDecoder.decode(descriptor: file.descriptor, name: file.name, options: options)
}

/// A soft picture that moves: every frame differs, and its corners differ.
func sampleClip(
  width: Int = 64, height: Int = 48, frames: Int = 12, rate: Rational = Rational(25, 1)
) -> VideoClip {
  var pixels: [UInt8] = []
  pixels.reserveCapacity(frames * width * height * 3)
  for frame in 0..<frames {
    for y in 0..<height {
      for x in 0..<width {
        let wave = sin(Double(x) / 9 + Double(frame) / 5) * cos(Double(y) / 7)
        pixels.append(UInt8(30 + 200 * x / width))
        pixels.append(UInt8(30 + 200 * y / height))
        pixels.append(UInt8(128 + 90 * wave))
      }
    }
  }
  return VideoClip(
    width: width, height: height, timing: VideoTiming(frameRate: rate, frameCount: frames),
    pixels: pixels)
}

/// A YUV4MPEG2 file with 4:4:4 pictures: the simplest video there is. `fill` gives Y, Cb and Cr of
/// a frame.
func yuv4mpeg(
  width: Int, height: Int, frames: Int, parameters: String = "F25:1",
  fill: (Int) -> (UInt8, UInt8, UInt8) = { _ in (128, 128, 128) }
) -> [UInt8] {
  var bytes = Array("YUV4MPEG2 W\(width) H\(height) \(parameters) Ip C444\n".utf8)
  for frame in 0..<frames {
    bytes += "FRAME\n".utf8
    let (y, cb, cr) = fill(frame)
    for value in [y, cb, cr] { bytes += [UInt8](repeating: value, count: width * height) }
  }
  return bytes
}

func psnr(_ a: [UInt8], _ b: [UInt8]) -> Double {
  let sum = zip(a, b).reduce(0.0) { $0 + pow(Double($1.0) - Double($1.1), 2) }
  return 10 * log10(255 * 255 / (sum / Double(a.count)))
}

extension VideoClip {
  func pixel(frame: Int, x: Int, y: Int) -> [Int] {
    let start = ((frame * height + y) * width + x) * 3
    return pixels[start..<start + 3].map(Int.init)
  }
}

/// The boxes of an mp4 file's first level, in their order.
func boxes(_ bytes: [UInt8]) -> [String] {
  var result: [String] = []
  var position = 0
  while position + 8 <= bytes.count {
    let size = bytes[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
    result.append(String(decoding: bytes[position + 4..<position + 8], as: UTF8.self))
    guard size >= 8 else { break }
    position += size
  }
  return result
}

/// Where a box's type stands in an mp4 file.
func position(of box: String, in bytes: [UInt8]) -> Int? {
  let type = Array(box.utf8)
  return bytes.indices.first { bytes[$0...].starts(with: type) }
}

func bigEndian(_ value: Int32) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }

import Foundation
import VideoFile

/// Whether videos can be written and read, by writing a tiny one and reading it, each in a confined
/// process of its own, as edits do.
struct VideoCheck: Check {
  let topic = "video"
  let patience = 60.0

  private static let side = 64
  private static let frames = 8

  func findings() -> [Finding] {
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "stemctl-doctor-\(UUID().uuidString.prefix(8))", directoryHint: .isDirectory)
    do {
      try FileManager.default.createDirectory(
        at: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    } catch {
      return [
        .warning(
          "no clip can be tried: \(folder.path(percentEncoded: false)) cannot be made",
          fix: "set TMPDIR to a folder that can be written to")
      ]
    }
    defer { try? FileManager.default.removeItem(at: folder) }
    let clip = folder.appending(path: "clip.mp4").path(percentEncoded: false)
    let video = VideoProcess(
      program: URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath(),
      limits: .init(stallSeconds: 10, totalSeconds: 20, processorSeconds: 20))
    let codecs =
      "apt install --reinstall libavcodec59 libavformat59 libx264-164 (the numbers are Debian 12's)"
    do {
      try video.encode(Self.made, to: clip)
    } catch {
      return [.problem("a tiny clip cannot be written: \(error)", fix: codecs)]
    }
    do {
      let read = try video.decode(path: clip, options: DecodingOptions(size: .source))
      guard read.frameCount == Self.frames, (read.width, read.height) == (Self.side, Self.side),
        Self.difference(read.pixels, Self.made.pixels) < 16
      else {
        return [
          .problem(
            "a tiny clip of \(Self.frames) frames came back as \(read.frameCount) of \(read.width)x\(read.height) that look different",
            fix: codecs)
        ]
      }
    } catch {
      return [.problem("a tiny clip cannot be read: \(error)", fix: codecs)]
    }
    return [
      .ok("a tiny clip was written as H.264 and read again, each in a confined process of its own")
    ]
  }

  /// A slope that moves.
  private static let made: VideoClip = {
    var pixels: [UInt8] = []
    for frame in 0..<frames {
      for y in 0..<side {
        for x in 0..<side {
          pixels += [UInt8(2 * x + 8 * frame), UInt8(3 * y), UInt8(128 + frame)]
        }
      }
    }
    return VideoClip(
      width: side, height: side,
      timing: VideoTiming(frameRate: Rational(25, 1), frameCount: frames), pixels: pixels)
  }()

  /// On average, of 255.
  private static func difference(_ one: [UInt8], _ other: [UInt8]) -> Int {
    let sum = zip(one, other).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
    return one.count == other.count ? sum / max(1, one.count) : 255
  }
}

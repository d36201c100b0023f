import Foundation
import Testing

@testable import VideoFile

@Suite("The frames that are chosen of a file")
struct ChosenFramesTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Forty seconds, ten frames each, with a keyframe every nine seconds or so, and frames that refer
  /// to later ones.
  private func long(_ container: String, _ codec: String = "libx264 -bf 3") throws -> String {
    try folder.ffmpeg(
      "-f lavfi -i testsrc2=size=64x48:rate=10:duration=40 -pix_fmt yuv420p -g 90",
      "-c:v \(codec)", to: "long.\(container)")
  }

  @Test(
    "are the same wherever the keyframes are, by seeking or by reading on",
    arguments: [
      ("mp4", "libx264 -bf 3"), ("mkv", "libx264 -bf 3 -x264-params open-gop=1"),
      ("mp4", "libx265 -x265-params log-level=none:open-gop=1"), ("ts", "libx264 -bf 3"),
      ("avi", "mpeg4 -bf 2"), ("webm", "libvpx"), ("mpg", "mpeg2video -r 25 -bf 2"),
    ])
  func exact(container: String, codec: String) throws {
    let path = try long(container, codec)
    let all = try decode(path)
    let seconds = all.timing.pts.map { Double($0) * all.timing.timeBase.value }
    for (start, every, count) in [
      (0, 1, nil), (0.05, 1, 3), (5, 1, 3), (18.04, 1, 5), (17.95, 7, 4), (36.3, 1, nil),
      (39.5, 2, nil), (26.999, 30, nil),
    ] as [(Double, Int, Int?)] {
      let options = DecodingOptions(size: .source, start: start, every: every, frames: count)
      let some = try videoProcess.decode(path: path, options: options)
      let first = try #require(seconds.firstIndex { $0 >= start - 0.0005 })
      let indices = Array(
        stride(from: first, to: all.frameCount, by: every).prefix(count ?? .max))
      try #require(some.frameCount == indices.count, "\(start) \(every)")
      for (place, index) in indices.enumerated() {
        #expect(
          some.pixels[place * some.bytesPerFrame..<(place + 1) * some.bytesPerFrame]
            == all.pixels[index * all.bytesPerFrame..<(index + 1) * all.bytesPerFrame],
          "\(start) \(every) \(index)")
        let time = Double(some.timing.pts[place]) * some.timing.timeBase.value
        #expect(abs(time - (seconds[index] - seconds[first])) < 1e-6)
      }
      #expect(some.warnings.isEmpty)
      #expect(some.source.isCutBefore == (first > 0))
      // Each is shown until the next one would be.
      let next = indices.last.map { $0 + every } ?? 0
      let end = next < seconds.count ? seconds[next] : all.timing.duration
      #expect(abs(some.timing.duration - (end - seconds[first])) < 0.002, "\(start) \(every)")
    }
  }

  @Test("a rate is divided, and times are kept")
  func rate() throws {
    let path = try folder.write(
      sampleClip(frames: 30, rate: Rational(30_000, 1001)), to: "a.mp4")
    let clip = try decode(path, DecodingOptions(size: .source, every: 4))
    #expect(clip.frameCount == 8)
    #expect(abs(clip.timing.frameRate.value - 7500.0 / 1001) < 1e-6)
    #expect(abs(clip.timing.duration - 30.03 / 30) < 1e-6)
  }

  @Test("a start beyond the end says where the end is")
  func beyond() throws {
    for path in [try folder.write(sampleClip(frames: 12), to: "a.mp4"), try long("mkv")] {
      let error = #expect(throws: VideoFileError.self) {
        try videoProcess.decode(path: path, options: DecodingOptions(size: .source, start: 50))
      }
      let last = path.hasSuffix("a.mp4") ? "0.440" : "39.900"
      #expect(
        error?.problem
          == "has no frame from its start at 50 s on: its last one is shown at \(last) s; choose a smaller 'start'"
      )
      #expect(error?.kind == .input)
    }
  }
}

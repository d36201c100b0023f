import Foundation
import Testing

@testable import VideoFile

@Suite("What a clip is written as")
struct EncodingOptionsTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test(
    "every codec gives the pictures, the times and the same bytes back, from the confined process",
    arguments: [EncodingOptions.Format.h264, .hevc, .av1, .vp9])
  func codecs(format: EncodingOptions.Format) throws {
    var clip = sampleClip(width: 96, height: 64, frames: 10, rate: Rational(30_000, 1001))
    clip.timing.pts[9] += 5
    let options = EncodingOptions(format: format)
    _ = try folder.write(clip, to: "here.mp4", options: options)
    try videoProcess.encode(clip, to: folder.file("there.mp4"), options: options)
    #expect(try folder.bytes(of: "there.mp4") == folder.bytes(of: "here.mp4"))
    let back = try decode(folder.file("there.mp4"))
    #expect((back.width, back.height, back.frameCount) == (96, 64, 10))
    #expect(psnr(clip.pixels, back.pixels) > 32)
    for (time, original) in zip(back.timing.pts, clip.timing.pts) {
      let seconds = Double(time) * back.timing.timeBase.value
      #expect(abs(seconds - Double(original) * clip.timing.timeBase.value) < 1e-4)
    }
    #expect(abs(back.timing.duration - clip.timing.duration) < 1e-4)
  }

  @Test(
    "small and large pictures fit every codec",
    arguments: [EncodingOptions.Format.h264, .hevc, .av1, .vp9])
  func sizes(format: EncodingOptions.Format) throws {
    let sizes = [(2, 2), (16, 8), (34, 18), (66, 64), (1280, 720)]
    for (width, height) in sizes where min(width, height) >= format.shortestSide {
      let path = folder.file("\(width).mp4")
      try videoProcess.encode(
        sampleClip(width: width, height: height, frames: 2), to: path,
        options: EncodingOptions(format: format))
      #expect(try decode(path).frameCount == 2, "\(width)x\(height)")
    }
  }

  @Test("a size that is too small for a codec is refused, and not left to it")
  func tooSmall() throws {
    let error = #expect(throws: VideoFileError.self) {
      try videoProcess.encode(
        sampleClip(width: 34, height: 64), to: folder.file("a.mp4"),
        options: EncodingOptions(format: .hevc))
    }
    #expect(error?.problem == "cannot be written at 34x64: hevc takes sides of 64 pixels or more")
  }

  @Test("a quality that is worse makes a smaller file")
  func quality() throws {
    for format in EncodingOptions.Format.allCases where format != .png {
      let clip = sampleClip(width: 128, height: 128, frames: format.isStill ? 1 : 4)
      let sizes = try [2, 30].map { quality in
        _ = try folder.write(
          clip, to: "\(format)-\(quality)",
          options: EncodingOptions(format: format, quality: quality))
        return try folder.bytes(of: "\(format)-\(quality)").count
      }
      #expect(sizes[1] < sizes[0], "\(format)")
    }
    let error = #expect(throws: VideoFileError.self) {
      try videoProcess.encode(
        sampleClip(), to: folder.file("a.mp4"), options: EncodingOptions(quality: 52))
    }
    #expect(error?.problem == "cannot be written with a quality of 52: h264 takes 0 to 51")
  }

  @Test("a picture is a file of its own, of any size, and png loses nothing")
  func stills() throws {
    let clip = sampleClip(width: 33, height: 17, frames: 1)
    for (format, name, start) in [
      (EncodingOptions.Format.png, "a.png", [0x89, 0x50, 0x4e, 0x47]),
      (.jpeg, "a.jpg", [0xff, 0xd8, 0xff]),
    ] as [(EncodingOptions.Format, String, [UInt8])] {
      try videoProcess.encode(
        clip, to: folder.file(name), options: EncodingOptions(format: format))
      #expect(try folder.bytes(of: name).starts(with: start))
      let back = try decode(folder.file(name))
      #expect((back.width, back.height, back.frameCount) == (33, 17, 1))
      #expect(format == .png ? back.pixels == clip.pixels : psnr(back.pixels, clip.pixels) > 32)
    }
    let error = #expect(throws: VideoFileError.self) {
      try videoProcess.encode(
        sampleClip(frames: 2), to: folder.file("b.png"), options: EncodingOptions(format: .png))
    }
    #expect(error?.problem.contains("a picture has one frame, and the clip has 2") == true)
  }

  @Test("a clip is scaled to the size asked for")
  func scaled() throws {
    let clip = sampleClip(width: 64, height: 48, frames: 3)
    let path = folder.file("large.mp4")
    try videoProcess.encode(
      clip, to: path, options: EncodingOptions(size: .init(width: 160, height: 90)))
    let back = try decode(path)
    #expect((back.width, back.height, back.frameCount) == (160, 90, 3))
    // Its corners are still where they were.
    #expect(back.pixel(frame: 0, x: 158, y: 2)[0] > back.pixel(frame: 0, x: 1, y: 2)[0] + 150)
    #expect(back.pixel(frame: 0, x: 2, y: 88)[1] > back.pixel(frame: 0, x: 2, y: 1)[1] + 150)
    #expect(throws: VideoFileError.self) {
      try videoProcess.encode(
        clip, to: folder.file("odd.mp4"), options: EncodingOptions(size: .init(width: 3, height: 2))
      )
    }
  }

  @Test("no codec that stemd offers is missing here")
  func shortcomings() {
    for format in EncodingOptions.Format.allCases { #expect(format.shortcoming == nil) }
  }
}

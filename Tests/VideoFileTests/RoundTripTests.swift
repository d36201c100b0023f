import Foundation
import Testing

@testable import VideoFile

@Suite("Encoding and decoding")
struct RoundTripTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("an encoded clip comes back with its pictures")
  func pictures() throws {
    let clip = sampleClip(width: 96, height: 160)
    let back = try decode(folder.write(clip, to: "a.mp4"))
    #expect((back.width, back.height, back.frameCount) == (96, 160, 12))
    #expect(back.warnings.isEmpty)
    #expect(psnr(clip.pixels, back.pixels) > 36)
    // A picture of its neighbour's time would be worse than its own.
    let frame = 3 * clip.bytesPerFrame..<4 * clip.bytesPerFrame
    let next = 4 * clip.bytesPerFrame..<5 * clip.bytesPerFrame
    #expect(
      psnr(Array(clip.pixels[frame]), Array(back.pixels[frame])) > psnr(
        Array(clip.pixels[next]), Array(back.pixels[frame])) + 3)
  }

  @Test(
    "flat colours survive within rounding, so both ways use the same matrix and range",
    arguments: [
      [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [120, 130, 140],
    ] as [[UInt8]])
  func flatColours(colour: [UInt8]) throws {
    var clip = sampleClip(width: 32, height: 32, frames: 2)
    clip.pixels = (0..<2 * 32 * 32).flatMap { _ in colour }
    let back = try decode(folder.write(clip, to: "flat.mp4"))
    let pixel = back.pixel(frame: 1, x: 16, y: 16)
    for channel in 0..<3 { #expect(abs(pixel[channel] - Int(colour[channel])) <= 4) }
  }

  @Test(
    "frame rates are kept to the last digit",
    arguments: [
      Rational(24, 1), Rational(30_000, 1001), Rational(8, 1), Rational(1, 3),
      Rational(1_000_000, 41_667), Rational(60, 1),
    ])
  func frameRates(rate: Rational) throws {
    let back = try decode(folder.write(sampleClip(frames: 30, rate: rate), to: "rate.mp4"))
    let exact = Double(rate.denominator) / Double(rate.numerator)
    #expect(abs(back.timing.frameRate.value * exact - 1) < 1e-4)
    for (index, time) in back.timing.pts.enumerated() {
      #expect(abs(Double(time) * back.timing.timeBase.value - Double(index) * exact) < 1e-9)
    }
    #expect(abs(back.timing.duration - 30 * exact) < 1e-9)
  }

  @Test("a variable frame rate is kept, and so is the last frame's duration")
  func variableFrameRate() throws {
    var clip = sampleClip(frames: 6)
    clip.timing = VideoTiming(
      timeBase: Rational(1, 1000), frameRate: Rational(24, 1), pts: [0, 42, 43, 300, 900, 901],
      lastFrameDuration: 250)
    let back = try decode(folder.write(clip, to: "variable.mp4")).timing
    #expect(
      back.pts.map { Double($0) * back.timeBase.value * 1000 } == clip.timing.pts.map(Double.init))
    #expect(Double(back.lastFrameDuration) * back.timeBase.value == 0.25)
    // And once more through the same door, now on the mp4's own time base.
    clip.timing = back
    #expect(try decode(folder.write(clip, to: "again.mp4")).timing == back)
  }

  @Test("times that were rounded to milliseconds are a constant rate's again, others stay")
  func steadyTimes() {
    let rate = Rational(30_000, 1001)
    func times(_ pts: [Int64], last: Int64 = 33) -> VideoTiming {
      VideoTiming(
        timeBase: Rational(1, 1000), frameRate: rate, pts: pts, lastFrameDuration: last)
    }
    let rounded = (0..<100).map { Int64((Double($0) * 1001 / 30).rounded()) }
    #expect(times(rounded).steadied() == VideoTiming(frameRate: rate, frameCount: 100))
    let late = rounded.dropLast() + [rounded[99] + 2]
    for variable in [times(Array(late)), times(rounded, last: 66), times([0])] {
      #expect(variable.steadied() == variable)
    }
    for (base, rate, frame) in [(1000, 25, 40), (90_000, 30, 3000)] as [(Int32, Int32, Int64)] {
      let exact = VideoTiming(
        timeBase: Rational(1, base), frameRate: Rational(rate, 1), pts: [0, frame, 2 * frame],
        lastFrameDuration: frame)
      #expect(exact.steadied() == exact)
    }
  }

  @Test(
    "a time base of nanoseconds is written exactly where its times allow it, else to the nearest tick"
  )
  func fineTimeBases() throws {
    let exact = VideoTiming(
      timeBase: Rational(1, 1_000_000_000), frameRate: Rational(25, 1),
      pts: [0, 40_000_000, 120_000_000],
      lastFrameDuration: 40_000_000)
    #expect(
      exact.fittingMovie()
        == VideoTiming(
          timeBase: Rational(1, 25), frameRate: Rational(25, 1), pts: [0, 1, 3],
          lastFrameDuration: 1))
    let odd = VideoTiming(
      timeBase: Rational(1, 1_000_000_000), frameRate: Rational(24, 1),
      pts: [0, 41_708_333, 41_708_334],
      lastFrameDuration: 41_708_333)
    #expect(odd.fittingMovie().timeBase == Rational(1, 90_000))
    #expect(odd.fittingMovie().pts == [0, 3754, 3755])
    var clip = sampleClip(frames: 3)
    clip.timing = odd
    #expect(try decode(folder.write(clip, to: "odd.mp4")).frameCount == 3)
    clip.timing = VideoTiming(
      timeBase: Rational(1, 1_000_000), frameRate: Rational(1, 1),
      pts: [0, 80_000_000_001, 80_000_000_002], lastFrameDuration: 1)
    #expect(abs(try decode(folder.write(clip, to: "long.mp4")).timing.duration - 80_000) < 0.01)
  }

  @Test("the index stands before the pictures")
  func fastStart() throws {
    _ = try folder.write(sampleClip(), to: "fast.mp4")
    let order = boxes(try folder.bytes(of: "fast.mp4"))
    let index = try #require(order.firstIndex(of: "moov"))
    let pictures = try #require(order.firstIndex(of: "mdat"))
    #expect(index < pictures)
  }

  @Test("the same clip gives the same bytes, however often")
  func determinism() throws {
    var different: Set<[UInt8]> = []
    for count in 0..<25 {
      _ = try folder.write(sampleClip(), to: "\(count).mp4")
      different.insert(try folder.bytes(of: "\(count).mp4"))
    }
    #expect(different.count == 1)
  }

  @Test("what is no movie is refused in one sentence")
  func refusedClips() throws {
    func problem(_ change: (inout VideoClip) -> Void) -> String {
      var clip = sampleClip(width: 16, height: 16, frames: 3)
      change(&clip)
      do {
        let file = try createVideo(path: folder.file(UUID().uuidString))
        try VideoEncoder.encode(clip, descriptor: file.descriptor)
        return "nothing"
      } catch {
        return "\(error)"
      }
    }
    #expect(problem { _ in } == "nothing")
    #expect(problem { $0.width = 15 }.contains("15x16: videos for every player take even sides"))
    #expect(problem { $0.timing.pts = [] }.contains("no frames"))
    #expect(problem { $0.pixels.removeLast() }.contains("take 2304 bytes, not 2303"))
    #expect(problem { $0.timing.pts = [0, 2, 2] }.contains("do not start at 0 and increase"))
    #expect(problem { $0.timing.pts = [1, 2, 3] }.contains("do not start at 0 and increase"))
    #expect(problem { $0.timing.lastFrameDuration = 0 }.contains("times"))
    #expect(problem { $0.timing.timeBase = Rational(0, 1) }.contains("times"))
  }

  @Test("a full disk is told as such, and may pass")
  func fullDisk() throws {
    let full = open("/dev/full", O_RDWR)
    defer { close(full) }
    let error = #expect(throws: VideoFileError.self) {
      try VideoEncoder.encode(sampleClip(), descriptor: full)
    }
    #expect(error?.problem.contains("No space left on device") == true)
    #expect(error?.mayPass == true)
  }
}

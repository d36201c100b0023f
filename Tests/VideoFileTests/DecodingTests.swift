import CLibAV
import Foundation
import Testing

@testable import VideoFile

@Suite("Decoding")
struct DecodingTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("odd sizes are read, and scaled to what is asked for")
  func oddSizes() throws {
    let path = try folder.write(
      yuv4mpeg(width: 33, height: 17, frames: 3) { (UInt8(60 + 40 * $0), 128, 128) }, to: "odd.y4m")
    let own = try decode(path)
    #expect((own.width, own.height, own.frameCount) == (33, 17, 3))
    let scaled = try decode(path, DecodingOptions(size: .exactly(width: 50, height: 20)))
    #expect((scaled.width, scaled.height) == (50, 20))
    #expect(scaled.pixels.count == 3 * scaled.bytesPerFrame)
    // (60 + 40n − 16) · 255/219
    #expect((0..<3).map { scaled.pixel(frame: $0, x: 49, y: 19)[1] } == [51, 98, 144])
  }

  @Test(
    "a fitting size keeps the shape on screen, in whole multiples",
    arguments: [
      (640, 360, 512 * 512, [64], 704, 384), (1920, 1080, 256 * 256, [8], 344, 192),
      (128, 128, 128 * 128, [8], 128, 128), (100, 10_000, 128 * 128, [64], 64, 1408),
      // Fewer pixels rather than stretched ones.
      (160, 120, 128 * 128, [32], 128, 96), (120, 160, 128 * 128, [32], 96, 128),
      (640, 480, 512 * 512, [32, 16, 8], 608, 448),
      // Smaller steps where the shape asks for them.
      (854, 480, 128 * 128, [32, 16, 8], 168, 96),
    ] as [(Int, Int, Int, [Int], Int, Int)])
  func fittingSizes(
    width: Int, height: Int, area: Int, multiples: [Int], expectedWidth: Int, expectedHeight: Int
  ) throws {
    let size = try DecodingOptions(size: .fitting(area: area, multiples: multiples))
      .outputSize(sourceWidth: width, sourceHeight: height, pixelAspect: 1)
    #expect(size == (expectedWidth, expectedHeight))
  }

  @Test("a fitting size makes pixels square") func fittingSquarePixels() throws {
    let size = try DecodingOptions(size: .fitting(area: 512 * 512, multiples: [8]))
      .outputSize(sourceWidth: 720, sourceHeight: 576, pixelAspect: 16.0 / 15)
    #expect(size == (584, 440))
  }

  @Test(
    "a shorter side is kept, and the longer one keeps the shape on screen",
    arguments: [
      (1920, 1080, 1.0, 512, 8, 912, 512), (1080, 1920, 1.0, 512, 8, 512, 912),
      (720, 576, 16.0 / 15, 512, 64, 704, 512), (100, 100, 1.0, 128, 8, 128, 128),
      (101, 100, 1.0, 64, 64, 64, 64),
    ])
  func shorterSides(
    width: Int, height: Int, aspect: Double, side: Int, multiple: Int, expectedWidth: Int,
    expectedHeight: Int
  ) throws {
    let size = try DecodingOptions(size: .shorterSide(side, multiple: multiple))
      .outputSize(sourceWidth: width, sourceHeight: height, pixelAspect: aspect)
    #expect(size == (expectedWidth, expectedHeight))
  }

  @Test("pixels that are not square are made so by a fitting size, or a shorter side")
  func pixelAspect() throws {
    let path = try folder.write(
      yuv4mpeg(width: 32, height: 32, frames: 1, parameters: "F25:1 A2:1"), to: "wide.y4m")
    let clip = try decode(path, DecodingOptions(size: .fitting(area: 2048, multiples: [8])))
    #expect((clip.width, clip.height) == (64, 32))
    let wide = try decode(path, DecodingOptions(size: .shorterSide(48, multiple: 8)))
    #expect((wide.width, wide.height) == (96, 48))
  }

  @Test("only as many frames as asked for are read")
  func firstFrames() throws {
    let path = try folder.write(sampleClip(frames: 12), to: "a.mp4")
    let clip = try decode(path, DecodingOptions(size: .source, frames: 5, maximumFrames: 5))
    #expect(clip.frameCount == 5)
    #expect(clip.pixels == Array(try decode(path).pixels.prefix(5 * clip.bytesPerFrame)))
  }

  @Test("a phone's turned picture is seen upright", arguments: [90, 180, 270])
  func rotation(degrees: Int) throws {
    let clip = sampleClip(width: 64, height: 48, frames: 2)
    _ = try folder.write(clip, to: "phone.mp4")
    var bytes = try folder.bytes(of: "phone.mp4")
    let matrix = try #require(position(of: "tkhd", in: bytes)) + 44
    let one: Int32 = 1 << 16
    let turn: [Int32] =
      switch degrees {
      case 90: [0, one, 0, -one, 0, 0, 48 << 16, 0, 1 << 30]
      case 180: [-one, 0, 0, 0, -one, 0, 64 << 16, 48 << 16, 1 << 30]
      default: [0, -one, 0, one, 0, 0, 0, 64 << 16, 1 << 30]
      }
    bytes.replaceSubrange(matrix..<matrix + 36, with: turn.flatMap(bigEndian))
    let turned = try decode(folder.write(bytes, to: "turned.mp4"))
    let plain = try decode(folder.file("phone.mp4"))
    #expect((turned.width, turned.height) == (degrees == 180 ? (64, 48) : (48, 64)))
    for (x, y) in [(0, 0), (63, 0), (10, 40)] {
      let (seenX, seenY) =
        degrees == 90 ? (47 - y, x) : degrees == 180 ? (63 - x, 47 - y) : (y, 63 - x)
      #expect(turned.pixel(frame: 1, x: seenX, y: seenY) == plain.pixel(frame: 1, x: x, y: y))
    }
    // The shape is the upright one's.
    let fitted = try decode(
      folder.file("turned.mp4"), DecodingOptions(size: .fitting(area: 3072, multiples: [16])))
    #expect((fitted.width, fitted.height) == (degrees == 180 ? (64, 48) : (48, 64)))
  }

  @Test("mirrored display matrices are obeyed too")
  func mirroring() {
    // 1 2 3
    // 4 5 6
    let stored: [UInt8] = (1...6).flatMap { [UInt8($0), 0, 0] }
    func seen(_ matrix: [Int32], width: Int, height: Int) -> [UInt8] {
      var upright = [UInt8](repeating: 0, count: 18)
      Orientation(displayMatrix: matrix).turn(
        stored, stride: 9, into: &upright, width: width, height: height)
      return stride(from: 0, to: 18, by: 3).map { upright[$0] }
    }
    #expect(seen([1, 0, 0, 0, 1, 0, 0, 0, 1], width: 3, height: 2) == [1, 2, 3, 4, 5, 6])
    #expect(seen([-1, 0, 0, 0, 1, 0, 0, 0, 1], width: 3, height: 2) == [3, 2, 1, 6, 5, 4])
    #expect(seen([1, 0, 0, 0, -1, 0, 0, 0, 1], width: 3, height: 2) == [4, 5, 6, 1, 2, 3])
    #expect(seen([0, 1, 0, 1, 0, 0, 0, 0, 1], width: 2, height: 3) == [1, 4, 2, 5, 3, 6])
    #expect(seen([0, -1, 0, -1, 0, 0, 0, 0, 1], width: 2, height: 3) == [6, 3, 5, 2, 4, 1])
  }

  @Test(
    "colours follow the tagged matrix and range",
    arguments: [
      (AVCOL_SPC_SMPTE170M, false, [81, 90, 240]), (AVCOL_SPC_BT709, false, [63, 102, 240]),
      (AVCOL_SPC_BT470BG, true, [76, 85, 255]),
      (AVCOL_SPC_BT709, true, [54, 99, 255]),
    ] as [(AVColorSpace, Bool, [UInt8])])
  func colourSpaces(space: AVColorSpace, fullRange: Bool, red: [UInt8]) throws {
    let source = try Picture(width: 16, height: 16, format: AV_PIX_FMT_YUV444P)
    let target = try Picture(width: 16, height: 16, format: AV_PIX_FMT_RGB24)
    let planes = [
      source.frame.pointee.data.0, source.frame.pointee.data.1, source.frame.pointee.data.2,
    ]
    for (plane, value) in zip(planes, red) {
      memset(try #require(plane), Int32(value), 16 * Int(source.frame.pointee.linesize.0))
    }
    try PictureConverter(flags: Int32(SWS_BICUBIC)).convert(
      source.frame,
      of: PictureConverter.Kind(
        width: 16, height: 16, format: AV_PIX_FMT_YUV444P, colorSpace: space, fullRange: fullRange),
      into: target.frame, of: PictureConverter.Kind(width: 16, height: 16, format: AV_PIX_FMT_RGB24)
    )
    let pixel = try #require(target.frame.pointee.data.0)
    #expect(pixel[0] >= 252)
    #expect(pixel[1] <= 3)
    #expect(pixel[2] <= 3)
  }

  @Test("full range is read from the file's own tag")
  func fullRange() throws {
    let limited = try decode(
      folder.write(
        yuv4mpeg(width: 16, height: 16, frames: 1) { _ in (235, 128, 128) }, to: "limited.y4m"))
    #expect(limited.pixel(frame: 0, x: 3, y: 3) == [255, 255, 255])
    let bytes = yuv4mpeg(width: 16, height: 16, frames: 1, parameters: "F25:1 XCOLORRANGE=FULL") {
      _ in (235, 128, 128)
    }
    let full = try decode(folder.write(bytes, to: "full.y4m"))
    #expect(full.pixel(frame: 0, x: 3, y: 3) == [235, 235, 235])
  }

  @Test("a picture is a clip of one frame")
  func onePicture() throws {
    let bytes = Array("P6\n4 2\n255\n".utf8) + (0..<24).map { UInt8($0 * 10) }
    let clip = try decode(folder.write(bytes, to: "picture.ppm"))
    #expect((clip.width, clip.height, clip.frameCount) == (4, 2, 1))
    #expect(clip.pixels == (0..<24).map { UInt8($0 * 10) })
  }

  @Test("missing, repeated and jumping times become ones that start at 0 and increase")
  func frameTimes() {
    func times(
      _ claimed: [Int64?], base: Rational = Rational(1, 1000), rate: Rational = Rational(25, 1)
    ) -> [Int64] {
      var times = FrameTimes(timeBase: base, frameRate: rate)
      return claimed.map { times.next($0) }
    }
    #expect(times([500, 540, 580]) == [0, 40, 80])
    #expect(times([-80, -40, 0]) == [0, 40, 80])
    #expect(times([nil, nil, nil, nil]) == [0, 40, 80, 120])
    #expect(times([10, nil, nil, 130]) == [0, 40, 80, 120])
    #expect(times([nil, 1000, 1040]) == [0, 40, 80])
    #expect(times([0, 40, 40, 30, 120]) == [0, 40, 41, 42, 120])
    // A joined recording, whose clock starts anew.
    #expect(times([5000, 9000, 0, 40]) == [0, 4000, 4040, 4080])
    // A long pause is kept, an absurd one is not.
    #expect(times([0, 3_600_000, 3_600_040]) == [0, 3_600_000, 3_600_040])
    #expect(times([0, Int64.max - 5, Int64.max - 1]) == [0, 40, 44])
    #expect(times([Int64.min, 0, Int64.max]) == [0, 40, 80])
    // Filling does not drift: a third of a tick stays a third of a tick.
    #expect(
      times([nil, nil, nil, nil], base: Rational(1, 100), rate: Rational(30, 1)) == [0, 3, 7, 10])
  }
}

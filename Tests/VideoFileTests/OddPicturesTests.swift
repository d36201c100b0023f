import CLibAV
import Foundation
import Testing

@testable import VideoFile

@Suite("Pictures of odd kinds")
struct OddPicturesTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("of an interlaced frame, the field that is shown first is taken")
  func interlaced() throws {
    for (letter, bright) in [("t", 0), ("b", 1)] {
      var bytes = Array("YUV4MPEG2 W32 H16 F25:1 I\(letter) C444\nFRAME\n".utf8)
      for y in 0..<16 { bytes += [UInt8](repeating: y % 2 == bright ? 235 : 16, count: 32) }
      bytes += [UInt8](repeating: 128, count: 2 * 16 * 32)
      let clip = try decode(folder.write(bytes, to: "\(letter).y4m"))
      #expect((clip.width, clip.height) == (32, 16))
      #expect((0..<16).allSatisfy { clip.pixel(frame: 0, x: 7, y: $0)[0] > 250 })
      #expect(clip.warnings.count == 1 && clip.warnings[0].contains("interlaced"))
    }
  }

  @Test("what is seen through is seen on black, and a note says so")
  func transparent() throws {
    let half = try decode(
      folder.ffmpeg("-f lavfi -i color=white@0.5:size=16x16,format=rgba -frames:v 1", to: "a.png"))
    #expect(abs(half.pixel(frame: 0, x: 3, y: 3)[0] - 128) <= 1)
    #expect(half.warnings == ["The clip is transparent in places: they are black."])
    // Whoever writes no transparency at all means none.
    let none = try decode(
      folder.ffmpeg("-f lavfi -i color=white@0:size=16x16,format=rgba -frames:v 1", to: "b.png"))
    #expect(none.pixel(frame: 0, x: 3, y: 3)[0] == 255 && none.warnings.isEmpty)
    let opaque = try decode(
      folder.ffmpeg("-f lavfi -i color=white:size=16x16,format=rgba -frames:v 1", to: "c.png"))
    #expect(opaque.pixel(frame: 0, x: 3, y: 3)[0] == 255 && opaque.warnings.isEmpty)
  }

  @Test("colours are written as they are tagged, and come back with their tags")
  func tags() throws {
    for tags in [
      ColorTags(primaries: 1, transfer: 1, matrix: 1, isFullRange: false),
      ColorTags(primaries: 5, transfer: 6, matrix: 5, isFullRange: false),
      ColorTags(primaries: 9, transfer: 14, matrix: 9, isFullRange: false),
      ColorTags(primaries: 1, transfer: 13, matrix: 6, isFullRange: true),
    ] {
      for format in [EncodingOptions.Format.h264, .hevc, .av1, .vp9] {
        var clip = sampleClip(width: 64, height: 64, frames: 2)
        clip.pixels = (0..<2 * 64 * 64).flatMap { _ in [200, 40, 90] as [UInt8] }
        clip.colors = tags
        let name = UUID().uuidString
        let back = try decode(folder.write(clip, to: name, options: .init(format: format)))
        #expect(back.colors.matrix == tags.matrix && back.colors.isFullRange == tags.isFullRange)
        #expect(back.colors.primaries == tags.primaries && back.colors.transfer == tags.transfer)
        for (channel, value) in [200, 40, 90].enumerated() {
          #expect(
            abs(back.pixel(frame: 1, x: 9, y: 9)[channel] - value) <= 4, "\(format) \(tags)")
        }
      }
    }
  }

  @Test("where nothing is said of colours, they are coded as players take them for")
  func untagged() {
    #expect(ColorTags.unspecified.coded(width: 512, height: 512).matrix == 6)
    #expect(ColorTags.unspecified.coded(width: 1280, height: 512).matrix == 1)
    #expect(
      ColorTags.unspecified.coded(width: 8, height: 8)
        == ColorTags(primaries: 1, transfer: 1, matrix: 6, isFullRange: false))
    // What libswscale cannot code in.
    let other = ColorTags(primaries: 9, transfer: 1, matrix: 14, isFullRange: nil)
    #expect(other.coded(width: 8, height: 8).matrix == 6)
  }

  @Test("high dynamic range becomes the usual one: white stays white, and nothing is lost above it")
  func highDynamicRange() throws {
    func mapped(_ transfer: UInt8, _ channels: [Double]) -> [UInt8] {
      var row = channels.flatMap { channel in
        withUnsafeBytes(of: UInt16(channel * 65535).littleEndian) { Array($0) }
      }
      row += [255, 255]
      row.withUnsafeMutableBufferPointer {
        ToneMapping(transfer: transfer).map($0.baseAddress!, pixels: 1)
      }
      return Array(row.prefix(3))
    }
    // Diffuse white of 203 cd/m² is 58 % of PQ and 75 % of HLG (BT.2408).
    for (transfer, white) in [(UInt8(16), 0.58), (18, 0.75)] {
      #expect(mapped(transfer, [0, 0, 0]) == [0, 0, 0])
      let (grey, bright, peak) = (
        mapped(transfer, Array(repeating: white / 2, count: 3)),
        mapped(transfer, Array(repeating: white, count: 3)),
        mapped(transfer, Array(repeating: transfer == 16 ? 0.752 : 1, count: 3))
      )
      #expect(grey[0] < bright[0] && (225...245).contains(bright[0]), "\(grey) \(bright)")
      #expect(peak[0] >= 254, "\(peak)")
      #expect(abs(Int(bright[0]) - Int(bright[2])) <= 1)
    }
    let path = try folder.ffmpeg(
      "-f lavfi -i color=0x949494:size=64x64:rate=10:duration=0.3 -pix_fmt yuv420p10le",
      "-c:v libx265 -x265-params log-level=none:colorprim=9:transfer=16:colormatrix=9",
      to: "hdr.mp4")
    let clip = try decode(path)
    #expect(
      clip.warnings == [
        "The clip has a high dynamic range (HDR): it is edited in the usual one, BT.709."
      ])
    #expect(clip.colors == .highDefinition)
    #expect((215...250).contains(clip.pixel(frame: 0, x: 9, y: 9)[1]))
  }

  @Test("the size at which a file is shown is upright, square and even")
  func shownSizes() throws {
    let path = try folder.ffmpeg(
      "-f lavfi -i testsrc2=size=48x30:rate=5:duration=0.4 -vf setsar=4/3 -c:v ffv1",
      to: "wide.mkv")
    let clip = try decode(path, DecodingOptions(size: .shorterSide(16, multiple: 8)))
    #expect((clip.source.width, clip.source.height) == (64, 30))
    #expect(ClipSource(width: 33, height: 17).evenSize == .init(width: 34, height: 18))
  }
}

import Foundation
import Testing

@testable import VideoFile

@Suite("Bad and hostile input")
struct BadInputTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// The sentence, from this process and from the child: they must not differ.
  private func problem(_ path: String, _ options: DecodingOptions = DecodingOptions(size: .source))
    throws -> VideoFileError
  {
    let here = try #require(throws: VideoFileError.self) { try decode(path, options) }
    let there = try #require(throws: VideoFileError.self) {
      try videoProcess.decode(path: path, options: options)
    }
    #expect(here == there)
    return here
  }

  @Test("an empty file is empty")
  func empty() throws {
    #expect(
      try problem(folder.write([], to: "nothing.mp4")).description == "\"nothing.mp4\" is empty")
  }

  @Test("garbage and text are no videos")
  func garbage() throws {
    var state: UInt32 = 1
    let noise = (0..<20_000).map { _ in
      state = state &* 1_664_525 &+ 1_013_904_223
      return UInt8(state >> 24)
    }
    #expect(
      try problem(folder.write(noise, to: "noise.mp4")).problem.hasPrefix(
        "is not a video that can be decoded: "))
    #expect(
      try problem(folder.write("hello world\n".utf8, to: "text.mp4")).problem.hasPrefix(
        "is not a video that can be decoded: "))
    #expect(try problem(folder.write("hello world\n".utf8, to: "text.txt")).kind == .input)
  }

  @Test("sound alone is no video")
  func soundOnly() throws {
    let sound = [0x3f] + [UInt8](repeating: 0, count: 400)
    var bytes = Array("FLV".utf8) + [1, 4, 0, 0, 0, 9, 0, 0, 0, 0]
    for _ in 0..<20 { bytes += [8, 0, 1, 0x91, 0, 0, 0, 0, 0, 0, 0] + sound + bigEndian(412) }
    #expect(
      try problem(folder.write(bytes, to: "song.flv")).problem
        == "has no video in it, only other streams (sound, subtitles)")
  }

  @Test("a container without frames says so")
  func noFrames() throws {
    #expect(
      try problem(folder.write("YUV4MPEG2 W16 H16 F25:1 Ip C444\n".utf8, to: "none.y4m")).problem
        .hasPrefix(
          "has no frame that can be decoded"))
  }

  @Test("of a file that was cut off, what is there is read, and a warning says so")
  func truncated() throws {
    _ = try folder.write(sampleClip(frames: 24), to: "whole.mp4")
    let bytes = try folder.bytes(of: "whole.mp4")
    let pictures = try #require(position(of: "mdat", in: bytes))
    let cut = try folder.write(bytes.prefix((pictures + bytes.count) / 2), to: "cut.mp4")
    for clip in [
      try decode(cut), try videoProcess.decode(path: cut, options: DecodingOptions(size: .source)),
    ] {
      #expect((1..<24).contains(clip.frameCount))
      #expect(clip.warnings.count == 1)
      #expect(clip.warnings.first?.contains("\(clip.frameCount) frames could be read") == true)
    }
    // Its index itself is cut off: nothing can be read.
    let error = try problem(folder.write(bytes.prefix(pictures / 2), to: "headless.mp4"))
    #expect(error.kind == .input)
  }

  @Test("each limit is named by what exceeds it")
  func limits() throws {
    let path = try folder.write(sampleClip(width: 64, height: 48, frames: 6), to: "big.mp4")
    let frames = try problem(path, DecodingOptions(size: .source, maximumFrames: 5))
    #expect(frames.kind == .limit)
    #expect(frames.problem.contains("more than 5 frames, which is the limit (maximumFrames)"))
    let pixels = try problem(
      path, DecodingOptions(size: .exactly(width: 8, height: 8), maximumPixels: 3071))
    #expect(pixels.kind == .limit)
    #expect(
      pixels.problem.contains("frames of 64x48, more than the limit of 3071 pixels (maximumPixels)")
    )
    let bytes = try problem(path, DecodingOptions(size: .source, maximumBytes: 64 * 48 * 3 * 4))
    #expect(bytes.kind == .limit)
    #expect(bytes.problem.contains("maximumBytes"))
    #expect(throws: Never.self) {
      try decode(
        path,
        DecodingOptions(
          size: .source, maximumFrames: 6, maximumPixels: 3072, maximumBytes: 64 * 48 * 3 * 6))
    }
  }

  @Test("a header that claims a gigantic picture is refused before any memory is taken")
  func giganticPicture() throws {
    let error = try problem(
      folder.write("YUV4MPEG2 W12000 H12000 F25:1 Ip C444\nFRAME\n".utf8, to: "gigantic.y4m"))
    #expect(error.kind == .limit)
  }

  @Test("sizes that make no sense are refused")
  func senselessSizes() throws {
    let path = try folder.write(sampleClip(frames: 1), to: "a.mp4")
    for size in [
      DecodingOptions.Size.exactly(width: 0, height: 16), .exactly(width: 16, height: 1 << 40),
      .fitting(area: 0, multiples: [8]), .fitting(area: 4096, multiples: [0]),
      .fitting(area: 4096, multiples: []),
    ] {
      #expect(throws: VideoFileError.self) { try decode(path, DecodingOptions(size: size)) }
    }
    #expect(throws: VideoFileError.self) {
      try decode(path, DecodingOptions(size: .source, frames: 0))
    }
  }

  @Test("symlinks, FIFOs, folders, devices and missing files are refused in one sentence each")
  func notRegular() throws {
    let real = try folder.write(sampleClip(frames: 1), to: "real.mp4")
    #expect(symlink(real, folder.file("link.mp4")) == 0)
    #expect(mkfifo(folder.file("fifo.mp4"), 0o600) == 0)
    #expect(mkdir(folder.file("folder.mp4"), 0o700) == 0)
    func sentence(_ path: String) throws -> String {
      try #require(throws: VideoFileError.self) {
        try videoProcess.decode(path: path, options: DecodingOptions(size: .source))
      }
      .description
    }
    #expect(try sentence(folder.file("link.mp4")).hasPrefix("\"link.mp4\" is a symbolic link"))
    #expect(
      try sentence(folder.file("fifo.mp4"))
        == "\"fifo.mp4\" is a FIFO (named pipe), not a video file")
    #expect(
      try sentence(folder.file("folder.mp4")) == "\"folder.mp4\" is a folder, not a video file")
    #expect(try sentence("/dev/null") == "\"null\" is a device, not a video file")
    #expect(
      try sentence(folder.file("none.mp4"))
        == "\"none.mp4\" cannot be opened: No such file or directory")
  }

  @Test(
    "any name is a name: no protocol, no pattern, no option",
    arguments: [
      "a:b.mp4", "f%03d.png", "-x.mp4", "file:x.mp4", "two\nlines.mp4", "quote\"'.mp4", "Füße.mp4",
      "concat:a|b.mp4", " .mp4",
    ])
  func names(name: String) throws {
    let path = try folder.write(sampleClip(frames: 3), to: name)
    #expect(
      try videoProcess.decode(path: path, options: DecodingOptions(size: .source)).frameCount == 3)
    let copy = folder.file("copy of " + name)
    try videoProcess.encode(sampleClip(frames: 3), to: copy)
    #expect(try decode(copy).frameCount == 3)
  }

  @Test("a name in a sentence cannot forge lines")
  func namesInSentences() throws {
    let error = try problem(folder.write([], to: "a\nb\"c\u{1b}.mp4"))
    #expect(error.description == "\"a\\nb\\\"c\\u{1B}.mp4\" is empty")
  }

  @Test(
    "a playlist named .mp4 opens nothing else",
    arguments: [
      "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://TARGET\n#EXT-X-ENDLIST\n",
      "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nTARGET\n#EXT-X-ENDLIST\n",
      "ffconcat version 1.0\nfile 'TARGET'\n", "ffconcat version 1.0\nfile TARGET\n",
      "<?xml version=\"1.0\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\"><Period><AdaptationSet>"
        + "<Representation id=\"1\"><BaseURL>file://TARGET</BaseURL></Representation></AdaptationSet></Period></MPD>",
      "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
      "<svg xmlns=\"http://www.w3.org/2000/svg\"><image href=\"file://TARGET\"/></svg>",
    ])
  func playlists(text: String) throws {
    let target = try folder.write(sampleClip(frames: 2), to: "target.mp4")
    #expect(try decode(target).frameCount == 2)
    let playlist = try folder.write(
      text.replacingOccurrences(of: "TARGET", with: target).utf8, to: "playlist.mp4")
    let watch = FileWatch(path: target)
    #expect(try problem(playlist).problem.hasPrefix("is not a video that can be decoded: "))
    #expect(!watch.wasOpened)
    // The watch would have seen it.
    _ = try decode(target)
    #expect(watch.wasOpened)
  }

  @Test("a QuickTime file that keeps its pictures in another file opens nothing else")
  func externalDataReference() throws {
    let target = try folder.write(sampleClip(frames: 2), to: "target.mp4")
    var bytes = try folder.bytes(of: "target.mp4")
    // A Macintosh alias record in the place of "the data is in this file".
    let path = Array(target.utf8)
    var alias =
      [UInt8](repeating: 0, count: 10) + [6] + Array("volume".utf8)
      + [UInt8](repeating: 0, count: 21)
    alias +=
      [UInt8](repeating: 0, count: 12) + [10] + Array("target.mp4".utf8)
      + [UInt8](repeating: 0, count: 53)
    alias += [UInt8](repeating: 0, count: 16) + [0, 1, 0, 1] + [UInt8](repeating: 0, count: 16)
    alias +=
      [0, 2, UInt8(path.count >> 8), UInt8(path.count & 255)] + path
      + [UInt8](repeating: 0, count: path.count % 2)
    alias += [0xff, 0xff, 0, 0] + [UInt8](repeating: 0, count: 16)
    let entry = try #require(position(of: "url ", in: bytes))
    bytes.replaceSubrange(entry..<entry + 8, with: Array("alis".utf8) + [0, 0, 0, 0] + alias)
    for box in ["moov", "trak", "mdia", "minf", "dinf", "dref", "alis"] {
      let start = try #require(position(of: box, in: bytes)) - 4
      let size = bytes[start..<start + 4].reduce(0) { $0 << 8 | Int32($1) }
      bytes.replaceSubrange(start..<start + 4, with: bigEndian(size + Int32(alias.count)))
    }
    let external = try folder.write(bytes, to: "external.mov")
    let watch = FileWatch(path: target)
    _ = try? decode(external)
    _ = try? videoProcess.decode(path: external, options: DecodingOptions(size: .source))
    #expect(!watch.wasOpened)
  }
}

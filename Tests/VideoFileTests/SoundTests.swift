import Foundation
import Testing

@testable import VideoFile

/// Clips that turn bright, and begin to sound, two seconds after their beginning.
@Suite("The sound of an edited clip")
struct SoundTests {
  let folder: TemporaryFolder

  private let pictures =
    "-f lavfi -i color=black:size=64x48:rate=25:duration=4,drawbox=t=fill:color=white:enable='gte(t,2)'"
  private let tone = "-f lavfi -i aevalsrc=gte(t\\,2)*0.8*sin(2764*t):duration=4:sample_rate=48000"

  init() throws { folder = try TemporaryFolder() }

  /// What comes of a file that is decoded and written again.
  private func rewritten(
    _ path: String, _ options: DecodingOptions = DecodingOptions(size: .source)
  )
    throws -> (clip: VideoClip, sound: HeardSound?, warnings: [String])
  {
    let clip = try videoProcess.decode(path: path, options: options)
    let output = folder.file("edited-\(UUID().uuidString).mp4")
    let warnings = try videoProcess.encode(
      clip, to: output, options: EncodingOptions(sound: clip.source.sound(of: path)))
    return (try decode(output), try HeardSound(output), warnings)
  }

  @Test(
    "is copied where mp4 holds it, else it is AAC, and stays in step with the pictures",
    arguments: [
      ("mp4", "aac", "aac"), ("mp4", "libmp3lame", "mp3"), ("mkv", "ac3", "ac3"),
      ("mkv", "eac3", "eac3"), ("mkv", "libopus", "opus"), ("mkv", "flac", "flac"),
      ("mov", "alac", "alac"), ("ts", "aac", "aac"), ("ts", "mp2", "aac"),
      ("mkv", "libvorbis", "aac"), ("mov", "pcm_s16le", "aac"), ("avi", "libmp3lame", "mp3"),
      ("webm", "libopus", "opus"), ("mkv", "dca -strict -2", "aac"), ("mkv", "wavpack", "aac"),
    ])
  func codecs(container: String, encoder: String, codec: String) throws {
    let video = container == "webm" ? "libvpx" : "libx264"
    let path = try folder.ffmpeg(
      pictures, tone, "-c:v \(video) -pix_fmt yuv420p -c:a \(encoder)", to: "a.\(container)")
    let (clip, sound, warnings) = try rewritten(path)
    #expect(warnings.isEmpty)
    let heard = try #require(sound)
    #expect(heard.codec == codec && heard.rate == 48_000 && heard.channels == 1)
    #expect(abs(try #require(clip.onset) - 2) < 0.001)
    try expectInStep(heard, with: clip, as: path, begins: 0)
    #expect(abs(heard.ends - 4) < 0.11, "\(heard.ends)")
  }

  /// Sound and pictures are as far apart as in their file, whose encoder may have moved one of them.
  /// - Parameter begins: when the clip begins, from the file's first frame.
  private func expectInStep(
    _ heard: HeardSound, with clip: VideoClip, as path: String, begins: Double
  ) throws {
    let original = try decode(path)
    let before = try #require(try HeardSound(path)?.onset) - original.source.start - begins
    let after = try #require(heard.onset) - clip.source.start
    #expect(abs(after - before) < 0.012, "\(before) \(after)")
  }

  @Test(
    "is trimmed to the frames that were chosen",
    arguments: [("mp4", "aac"), ("mkv", "libopus"), ("mov", "pcm_s16le"), ("mkv", "flac")])
  func trimmed(container: String, encoder: String) throws {
    let path = try folder.ffmpeg(
      pictures, tone, "-c:v libx264 -pix_fmt yuv420p -c:a \(encoder)", to: "a.\(container)")
    let (clip, sound, _) = try rewritten(
      path, DecodingOptions(size: .source, start: 1.5, every: 5, frames: 5))
    #expect(clip.frameCount == 5)
    #expect(abs(clip.timing.duration - 1) < 0.001)
    let heard = try #require(sound)
    // The first one from 1.5 on is shown at 1.52, and the first bright one at 2.12.
    #expect(abs(try #require(clip.onset) - 0.6) < 0.001)
    try expectInStep(heard, with: clip, as: path, begins: 1.52)
    #expect(abs(heard.ends - 1) < 0.11, "\(heard.ends)")
    #expect(heard.begins < 0.001)
  }

  @Test("begins later or earlier than the pictures, as in the file")
  func offsets() throws {
    let late = try folder.ffmpeg(
      pictures, "-itsoffset 1", tone, "-c:v libx264 -pix_fmt yuv420p -c:a aac", to: "late.mkv")
    var (clip, sound, _) = try rewritten(late)
    #expect(abs(try #require(clip.onset) - 2) < 0.001)
    try expectInStep(#require(sound), with: clip, as: late, begins: 0)
    #expect(abs(try #require(sound?.onset) - clip.source.start - 3) < 0.03)

    // What sounds before the first picture is kept, where that is there.
    let early = try folder.ffmpeg(
      "-itsoffset 1", pictures, tone, "-c:v libx264 -pix_fmt yuv420p -c:a aac", to: "early.mkv")
    (clip, sound, _) = try rewritten(early)
    #expect(abs(clip.source.start - 1) < 0.05)
    try expectInStep(#require(sound), with: clip, as: early, begins: 0)
    #expect(abs(try #require(sound?.onset) - clip.source.start - 1) < 0.03)
    #expect(abs(try #require(sound?.ends) - 4) < 0.1)

    (clip, sound, _) = try rewritten(early, DecodingOptions(size: .source, start: 0.52))
    #expect(abs(try #require(clip.onset) - 1.48) < 0.001)
    #expect(abs(clip.source.start) < 0.001)
    try expectInStep(#require(sound), with: clip, as: early, begins: 0.52)
  }

  @Test("of several tracks is the default one; of none, none")
  func tracks() throws {
    let two = try folder.ffmpeg(
      pictures, tone, "-f lavfi -i anullsrc=r=44100:cl=stereo:d=4",
      "-map 0:v -map 2:a -map 1:a -c:v libx264 -pix_fmt yuv420p -c:a flac",
      "-disposition:a:0 0 -disposition:a:1 default", to: "two.mkv")
    #expect(try rewritten(two).sound?.rate == 48_000)
    let silent = try folder.ffmpeg(pictures, "-c:v libx264 -pix_fmt yuv420p", to: "silent.mp4")
    let (_, sound, warnings) = try rewritten(silent)
    #expect(sound == nil && warnings.isEmpty)
  }

  @Test("that has ended before the frames that were chosen is silence")
  func ended() throws {
    for encoder in ["aac", "pcm_s16le"] {
      let path = try folder.ffmpeg(
        pictures, "-f lavfi -i sine=duration=1",
        "-c:v libx264 -pix_fmt yuv420p -c:a \(encoder)", to: "\(encoder).mov")
      let (clip, sound, warnings) = try rewritten(
        path, DecodingOptions(size: .source, start: 2, frames: 20))
      #expect(clip.frameCount == 20 && warnings.isEmpty)
      #expect(sound?.onset == nil)
    }
  }

  @Test("is the same, byte for byte, every time")
  func determinism() throws {
    for encoder in ["aac", "pcm_s16le"] {
      let path = try folder.ffmpeg(
        pictures, tone, "-c:v libx264 -pix_fmt yuv420p -c:a \(encoder)", to: "\(encoder).mov")
      let clip = try videoProcess.decode(path: path, options: DecodingOptions(size: .source))
      let options = EncodingOptions(sound: clip.source.sound(of: path))
      let names = try (0..<4).map { index in
        try videoProcess.encode(clip, to: folder.file("\(encoder)\(index)"), options: options)
        return "\(encoder)\(index)"
      }
      #expect(Set(try names.map { try folder.bytes(of: $0) }).count == 1)
    }
  }

  @Test("that nobody can decode is left out with a warning, and so is a file that is gone")
  func undecodable() throws {
    let path = try folder.ffmpeg(
      pictures, tone, "-c:v libx264 -pix_fmt yuv420p -c:a aac", to: "a.mkv")
    var bytes = try folder.bytes(of: "a.mkv")
    let name = try #require(position(of: "A_AAC", in: bytes))
    bytes.replaceSubrange(name..<name + 5, with: Array("A_XYZ".utf8))
    let unknown = try folder.write(bytes, to: "unknown.mkv")
    let (clip, sound, warnings) = try rewritten(unknown)
    #expect(clip.frameCount == 100 && sound == nil)
    #expect(warnings.count == 1 && warnings.first?.hasPrefix("The sound is left out: ") == true)

    let output = folder.file("gone.mp4")
    let gone = try videoProcess.encode(
      clip, to: output, options: EncodingOptions(sound: SoundSource(path: folder.file("none"))))
    #expect(
      gone == ["The sound is left out: \"none\" cannot be opened: No such file or directory."])
    #expect(try decode(output).frameCount == 100)
    #expect(try HeardSound(path) != nil)
  }

  @Test("costs itself alone where it crashes who reads it, or makes them hang")
  func crashes() throws {
    let path = try folder.ffmpeg(
      pictures, tone, "-c:v libx264 -pix_fmt yuv420p -c:a aac", to: "a.mp4")
    let clip = try decode(path)
    for (index, end) in ["kill -SEGV $$", "exec sleep 1000"].enumerated() {
      let process = VideoProcess(
        program: try folder.program(
          "[ -e /proc/$$/fd/3 ] && \(end); exec '\(workerProgram.path)' \"$@\""),
        limits: VideoProcess.Limits(stallSeconds: 1))
      let output = folder.file("\(index).mp4")
      let warnings = try process.encode(
        clip, to: output, options: EncodingOptions(sound: clip.source.sound(of: path)))
      #expect(warnings.count == 1 && warnings.first?.hasPrefix("The sound is left out: ") == true)
      #expect(try decode(output).frameCount == 100)
    }
  }
}

import EditSettings
import Foundation
import Testing
import VideoEditing
import VideoFile

@testable import ClipEdit

@Suite("What lies beside an edit") struct PresentationTests {
  /// Frames of one colour each, which grows from frame to frame.
  private static func movie(_ frames: Int, width: Int = 6, height: Int = 4, from first: UInt8)
    -> VideoClip
  {
    VideoClip(
      width: width, height: height,
      timing: VideoTiming(
        timeBase: Rational(1, 100), frameRate: Rational(10, 1),
        pts: (0..<frames).map { Int64($0 * 10 + ($0 > 2 ? 5 : 0)) }, lastFrameDuration: 20),
      pixels: (0..<frames).flatMap { frame in
        [UInt8](repeating: first + UInt8(frame), count: width * height * 3)
      })
  }

  @Test("clips stand side by side, row by row, with a gap between them") func sideBySide() throws {
    let both = SideBySide([Self.movie(3, from: 10), Self.movie(3, width: 2, from: 50)])
    #expect((both.width, both.height, both.frameCount) == (16, 4, 3))
    try both.withFrames(1..<3) { pixels in
      #expect(pixels.count == 2 * both.bytesPerFrame)
      for frame in 0..<2 {
        for y in 0..<4 {
          let row = (frame * 4 + y) * 16 * 3
          #expect(pixels[row] == UInt8(11 + frame) && pixels[row + 17] == UInt8(11 + frame))
          #expect(pixels[row + 18] == 0x80 && pixels[row + 41] == 0x80)
          #expect(pixels[row + 42] == UInt8(51 + frame) && pixels[row + 47] == UInt8(51 + frame))
        }
      }
    }
  }

  @Test("clips that are wide enough have their names in bars above every frame") func titled()
    throws
  {
    let movie = Self.movie(3, width: 128, height: 96, from: 10)
    let titled = TitledMovie.titled([(movie, "Reconstruction"), (movie, "Edit")])
    #expect(titled.allSatisfy { $0.height == titled[0].height && $0.timing == movie.timing })
    let bar = (titled[0] as? TitledMovie)?.barHeight ?? 0
    #expect(bar % 2 == 0)
    #expect((bar > 0) == OpticalFlow.isBuiltIn)
    #expect((titled[0].width, titled[0].height) == (128, 96 + bar))
    try titled[0].withFrames(1..<3) { pixels in
      #expect(pixels.count == 2 * titled[0].bytesPerFrame)
      for frame in 0..<2 {
        let start = frame * titled[0].bytesPerFrame
        let letters = pixels[start..<start + bar * 128 * 3]
        #expect(bar == 0 || (Set(letters).count > 2 && letters[start] == 0x20))
        let picture = pixels[(start + bar * 128 * 3)..<(frame + 1) * titled[0].bytesPerFrame]
        #expect(picture.allSatisfy { $0 == UInt8(11 + frame) })
      }
    }
    let narrow = Self.movie(1, width: 64, from: 0)
    #expect(TitledMovie.titled([(narrow, "Edit")])[0].height == 4)
    #expect(TitledMovie.titled([(narrow, "Edit"), (movie, "Source")])[1].height == 96)

    let folder = try TemporaryFolder()
    let video = VideoProcess(program: program("stem-worker"))
    try PresentedClips(
      source: movie, reconstruction: nil, edit: movie, video, scratchFolder: folder.url.path
    ).deliver(
      to: EditPresentation(folder: folder.url.path, title: "x") { _ in .init() }, omitted: { _ in })
    let written = try video.decode(
      path: folder.path("comparison.mp4"), options: DecodingOptions(size: .source))
    #expect((written.width, written.height, written.frameCount) == (264, 96 + bar, 3))
  }

  @Test("chosen frames keep their times") func chosenFrames() throws {
    let chosen = SomeFrames([1, 4], of: Self.movie(6, from: 0))
    #expect(chosen.timing.pts == [0, 35])
    #expect(chosen.timing.duration == 0.65)
    try chosen.withFrames(0..<2) { #expect($0.first == 1 && $0.last == 4) }
    #expect(SomeFrames.even(3, of: 9) == [0, 3, 6])
    #expect(SomeFrames.even(8, of: 3) == [0, 1, 2])
  }

  @Test("clips that are too wide for one picture are shown as far as they go") func wide() throws {
    let folder = try TemporaryFolder()
    let movie = Self.movie(5, width: 5464, height: 2, from: 0)
    let clips = PresentedClips(
      source: movie, reconstruction: movie, edit: movie,
      VideoProcess(program: program("stem-worker")), scratchFolder: folder.url.path)
    var omissions: [String] = []
    try clips.deliver(
      to: EditPresentation(folder: folder.url.path, title: "wide") { _ in .init() },
      omitted: { omissions.append($0) })
    #expect(omissions.count == 1 && omissions[0].hasPrefix("comparison.mp4, poster.png: "))
    let strips = try clips.strips()
    #expect(strips.map(\.description).first == "Source: frames 1, 3 side by side")
    #expect(strips.allSatisfy { $0.size.width <= 2048 })
  }

  @Test("an edit leaves report, comparison and poster where they are asked for") func files() throws
  {
    let folder = try TemporaryFolder()
    let video = VideoProcess(program: program("stem-worker"))
    let edit = try ClipEdit(
      model: try TinyWorld.model(.full), settings: EditRun.settings, video: video,
      scratchFolder: folder.url.path)
    var described: [String] = []
    let figures = try edit.run(
      input: TinyWorld.clip, output: folder.path("edited.mp4"),
      measuring: .init(reconstruction: true),
      presentation: EditPresentation(folder: folder.url.path, title: "ball") {
        .init(
          sidecar:
            "again, in groups of \($0.options.groupSize ?? 0) at \($0.size?.description ?? "")")
      },
      describe: { described.append($0) }, progress: { _ in })
    #expect(
      described == [
        "the clip: 3 frames in 0.38 s, 8 a second; shown at 128x128, edited at 64x64"
      ])
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.url.path).sorted() == [
        "comparison.mp4", "edited.mp4", "poster.png", "report.html",
      ])
    let comparison = try video.decode(
      path: folder.path("comparison.mp4"), options: DecodingOptions(size: .source))
    let edited = try video.decode(
      path: folder.path("edited.mp4"), options: DecodingOptions(size: .source))
    #expect((comparison.width, comparison.height) == (3 * 64 + 2 * 8, 64))
    #expect(comparison.timing.duration == edited.timing.duration)
    let page = try String(contentsOfFile: folder.path("report.html"), encoding: .utf8)
    for role in ["source", "reconstruction", "edit"] {
      #expect(page.contains("data-role=\"\(role)\""))
    }
    #expect(page.contains("Frame 1 of 3"))
    #expect(page.contains("h264, 64x64, usual quality"))
    // What nobody asked for has a value there, too.
    #expect(page.contains("again, in groups of 8 at 64x64"))
    #expect(figures.seconds["present"] != nil)
  }
}

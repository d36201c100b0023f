import EditSettings
import Foundation
import Testing
import VideoEditing
import VideoFile

@testable import ClipEdit

@Suite struct ClipLimitsTests {
  @Test(
    "a clip beyond a limit is refused with a sentence that names the limit",
    arguments: [
      (ClipLimits(frames: 8), "the limit 'frames' of 8: set fewer 'frames'"),
      (ClipLimits(framePixels: 16_383), "128x128, above the limit 'frame_pixels' of 16383"),
      (ClipLimits(memoryBytes: 5_000_000), "the limit 'worker_memory' of 0.0 GiB"),
      (ClipLimits(memoryBytes: 1), "the limit 'worker_memory' of 0.0 GiB"),
    ])
  func refused(limits: ClipLimits, sentence: String) throws {
    var run = EditRun(EditRun.larger)
    run.limits = limits
    let error = #expect(throws: ClipEditError.self) { try run() }
    #expect(error?.description.contains(sentence) == true, "\(error?.description ?? "nothing")")
    #expect(error?.mayPass == false)
    #expect(run.steps == ["decode 0"])
  }

  @Test("bases that do not fit are refused, where the clip itself would fit")
  func manyBases() throws {
    var run = EditRun(EditRun.larger)
    let memory = try VideoEdit(model: TinyWorld.model(.full), settings: run.settings)
      .estimatedMemory(frames: 9, height: 176, width: 192)
    run.settings.bases = 4096
    run.limits = ClipLimits(memoryBytes: memory.total)
    let error = #expect(throws: ClipEditError.self) { try run() }
    #expect(error?.description.contains("choose fewer 'bases', a smaller") == true)
    #expect(run.steps == ["decode 0"])
    (run.settings.bases, run.settings.steps) = (16, 1)
    #expect(try run().frames == 9)
    // No base is looked for where there are more of them than tokens.
    run.settings.bases = 65536
    #expect(try run().frames == 9)
  }

  @Test("a scratch folder that takes nothing is named, and another attempt may find room")
  func fullScratchFolder() throws {
    var run = EditRun(EditRun.larger)
    run.scratchFolder = "/proc/nowhere"
    let error = #expect(throws: VideoFileError.self) { try run() }
    #expect(error?.mayPass == true)
    #expect("\(error!)".contains("/proc/nowhere"))
  }

  @Test("a size that the model was not made for is taken, and told")
  func oddSize() throws {
    var run = EditRun()
    for (side, isTold) in [(56, true), (64, false), (248, false), (256, true)] {
      (run.settings.steps, run.settings.frames) = (1, 1)
      run.settings.size = .exactly(FrameSize(width: side, height: side))
      _ = try run()
      #expect(run.notes.contains { $0.contains("made for about") } == isTold, "\(side)")
    }
  }

  @Test("a generation tells what the model does not see, and what it was not made for")
  func generationNotes() throws {
    let folder = try TemporaryFolder()
    var notes: [String] = []
    var generation = VideoGeneration()
    (generation.frames, generation.steps) = (1, 3)
    let clip = ClipGeneration(
      prompt: String(repeating: "a red ball ", count: 20),
      size: FrameSize(width: 32, height: 32), generation: generation)
    _ = try clip.run(
      with: TinyWorld.model(.full), video: VideoProcess(program: program("stem-worker")),
      scratchFolder: folder.url.path, output: folder.path("x.mp4"), note: { notes.append($0) },
      progress: { _ in })
    #expect(notes.count == 2, "\(notes)")
    #expect(notes.first?.contains("the prompt has 60 tokens") == true)
  }

  @Test("an edit whose numbers are not finite is no video, and the guidance is named")
  func notFinite()
    throws
  {
    var settings = EditRun.settings
    settings.guidance = 1e37
    var run = EditRun(settings)
    let error = #expect(throws: ClipEditError.self) { _ = try run() }
    #expect(error?.description.contains("not finite") == true)
    #expect(error?.description.contains("1e+37") == true)
  }

  @Test("a clip that just fits is edited")
  func fits() throws {
    var run = EditRun(EditRun.larger)
    run.settings.steps = 1
    run.limits = ClipLimits(frames: 9, framePixels: 16_384, memoryBytes: 1 << 30)
    #expect(try run().frames == 9)
  }

  @Test("figures from before there was a cache are read")
  func oldFigures() throws {
    var figures = EditFigures(frames: 3, size: FrameSize(width: 8, height: 16), frameRate: 25)
    (figures.reconstructionPSNR, figures.seconds) = (30, ["edit": 1])
    var json = String(decoding: try JSONEncoder().encode(figures), as: UTF8.self)
    #expect(json.contains(#""inversion_reused":false"#))
    json = json.replacingOccurrences(of: #""inversion_reused":false,"#, with: "")
      .replacingOccurrences(of: #","inversion_reused":false"#, with: "")
    #expect(!json.contains("inversion_reused"))
    #expect(try JSONDecoder().decode(EditFigures.self, from: Data(json.utf8)) == figures)
  }
}

import StableDiffusion
import Tensor
import Testing

@testable import VideoEditing

@Suite struct VideoGenerationTests {
  private let golden: EditorGolden
  private let model: StableDiffusionModel

  init() throws {
    golden = try EditorGolden("text2video-zero-160x96")
    model = try TinyWorld.model.get()
  }

  private func generation() throws -> VideoGeneration {
    var generation = VideoGeneration()
    generation.frames = try golden.latents("generated.clean").shape[0]
    generation.guidance = try golden.number("guidance")
    let strength = try golden.number("motion_strength")
    generation.motion = Motion(x: strength, y: strength)
    generation.noise = { draw, _ in
      switch draw {
      case .start: try golden.latents("generated.start")
      case .later: try golden.latents("generated.noise")
      }
    }
    return generation
  }

  @Test("a video from a text is the authors' code's, 50 steps long")
  func agrees() throws {
    let theirs = try golden.latents("generated.clean")
    var finished: [Int] = []
    let ours = try generation().latents(
      height: theirs.shape[1], width: theirs.shape[2], context: golden.tensor("text.hidden"),
      with: model
    ) { step, _ in finished.append(step) }
    #expect(finished == Array(1...50))
    #expect(relativeError(ours, theirs) < 1e-4)
  }

  @Test("the first frame is moved to where the authors' warp moves it")
  func moves() throws {
    let theirs = try golden.latents("generated.warped")
    var generation = try generation()
    let strength = generation.motion
    // Its latents at t0, which no step after t1 reports.
    generation.frames = 1
    var atT0: Tensor?
    _ = try generation.latents(
      height: theirs.shape[1], width: theirs.shape[2], context: golden.tensor("text.hidden"),
      with: model
    ) { step, latents in if step == 5 { atT0 = latents } }
    let first = try #require(atT0)
    for frame in 1...theirs.shape[0] {
      let moved = first.moved(by: strength, frame: frame)
      #expect(relativeError(moved, theirs.rows(frame - 1..<frame)) < 1e-4)
      #expect(moved.values != first.values)
    }
  }

  @Test("a motion beyond the border shows the picture mirrored, again and again")
  func mirrors() {
    let picture = Tensor((0..<4).map(Float.init), shape: [1, 1, 4, 1])
    func row(_ x: Double) -> [Float] {
      // Half a pixel of 512 makes up for the coordinates' own offset.
      picture.moved(by: Motion(x: x * 128 + 0.5, y: 0.5), frame: 1).values
    }
    #expect(row(0) == [0, 1, 2, 3])
    #expect(row(1) == [1, 2, 3, 3])
    #expect(row(-1) == [0, 0, 1, 2])
    #expect(row(4) == [3, 2, 1, 0])
    #expect(row(8) == [0, 1, 2, 3])
    #expect(row(-6) == [2, 3, 3, 2])
  }

  @Test("other numbers of steps and one frame are generated, and progress ends complete")
  func otherSteps() throws {
    for (steps, frames) in [(2, 3), (7, 1)] {
      var generation = VideoGeneration()
      (generation.steps, generation.frames) = (steps, frames)
      var seen: [VideoGeneration.Progress] = []
      let pictures = try pictures(generation) { seen.append($0) }
      #expect(pictures.shape == [frames, 40, 56, 3] && pictures.isFinite)
      #expect(seen.map(\.share) == seen.map(\.share).sorted())
      #expect(seen.filter { $0.stage == .generate }.map(\.step) == Array(0...steps))
      #expect(seen.last?.stage == .decode)
      #expect(seen.allSatisfy { (0..<1).contains($0.share) })
    }
  }

  @Test("the same seed gives the same bits, another seed others")
  func seeds() throws {
    var generation = VideoGeneration()
    (generation.steps, generation.frames) = (3, 3)
    func values() throws -> [Float] { try pictures(generation).values }
    let first = try values()
    #expect(try values() == first)
    generation.seed = 1
    #expect(try values() != first)
  }

  @Test(
    "noise levels that are none are refused in a sentence",
    arguments: [(44, 44), (47, 44), (-1, 3), (10, 50)])
  func badLevels(t0: Int, t1: Int) throws {
    var generation = VideoGeneration()
    (generation.t0, generation.t1) = (t0, t1)
    let error = #expect(throws: ModelError.self) { try generation.check(for: model) }
    #expect(error?.description.contains("\(t1)") == true)
  }

  @Test("a model that takes instructions generates nothing")
  func instructedModel() throws {
    let instructed = try InstructedModel(golden.tensor("instructed.conv_in"))
    let model = try StableDiffusionModel(at: instructed.folder)
    #expect(throws: ModelError.self) {
      try VideoGeneration().run("a blue ball", height: 40, width: 56, with: model) { _ in }
    }
  }

  private func pictures(
    _ generation: VideoGeneration, progress: (VideoGeneration.Progress) -> Void = { _ in }
  ) throws -> Tensor {
    var portions: [Tensor] = []
    try generation.run("a blue ball", height: 40, width: 56, with: model, progress: progress) {
      portions.append($0)
    }
    return Tensor.concatenated(portions)
  }
}

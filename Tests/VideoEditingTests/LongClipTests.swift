import EditSettings
import Foundation
import StableDiffusion
import Tensor
import Testing

@testable import VideoEditing

/// Clips of more frames than go through the UNet at once.
@Suite struct LongClipTests {
  private let frames = ClipPasses.wholeFrames + 9
  private var latents: Tensor {
    RandomNumbers(seed: 3, stream: "latents").normal([frames, 5, 7, 4])
  }

  private func context(_ model: StableDiffusionModel) -> Tensor { model.encode(["a ball"]) }

  /// Passes with the processors' own calls counted.
  private func overClip(_ processor: some ClipProcessor) throws -> Tensor {
    let model = try TinyWorld.model.get()
    return try model.unet.overClip(
      latents, timestep: 401, context: context(model), processor: processor)
  }

  @Test("a sample is spread evenly, and names no frame twice", arguments: [33, 41, 64, 1000])
  func evenSample(frames: Int) {
    let sample = ClipPasses.sample(of: frames)
    #expect(sample.count == ClipPasses.wholeFrames && Set(sample).count == sample.count)
    let gaps = zip(sample, sample.dropFirst()).map { $1 - $0 }
    let (least, most) = (gaps.min() ?? 0, gaps.max() ?? 0)
    #expect(least > 0 && most - least <= 1)
    #expect(sample[0] - (frames - 1 - sample[sample.count - 1]) <= 1)
    #expect(ClipPasses.sample(of: 7) == Array(0..<7))
  }

  @Test("frames that look at no other come out as they do in one call, each in its place")
  func byThemselves() throws {
    let model = try TinyWorld.model.get()
    let whole = try model.unet(latents, timestep: 401, context: context(model))
    let error = relativeError(try overClip(PlainProcessor()), whole)
    #expect(error < 1e-5, "\(error)")
  }

  @Test("each frame attends to the bases of the sample")
  func sampledBases() throws {
    let model = try TinyWorld.model.get()
    let stem = STEMAttention(bases: 16, iterations: 3, seed: 5)
    let grouped = try overClip(stem)
    let sample = ClipPasses.sample(of: frames)
    stem.enter(.sample)
    let alone = try model.unet(
      latents.rows(sample), timestep: 401, context: context(model), processor: stem)
    #expect(grouped.rows(sample).values == alone.values)
    stem.enter(.group)
    let other = try #require((0..<frames).first { !sample.contains($0) })
    let one = try model.unet(
      latents.rows([other]), timestep: 401, context: context(model), processor: stem)
    let error = relativeError(grouped.rows([other]), one)
    #expect(error < 1e-5, "\(error)")
  }

  @Test("all keyframes of a short clip attend to each other, those of a long one to anchors")
  func keyframes() {
    let short = Keyframes(Array(0..<Keyframes.most))
    #expect(short.anchors.isEmpty && short.chunks.count == 1)
    let long = Keyframes((0..<21).map { $0 * 8 + 3 })
    #expect(long.anchors.count == Keyframes.most && Set(long.anchors).isSubset(of: long.frames))
    #expect(long.chunks.map(\.groups) == [0..<6, 6..<12, 12..<18, 18..<21])
    #expect(long.chunks.map(\.held) == [0..<7, 5..<13, 11..<19, 17..<21])
  }

  @Test(
    "TokenFlow edits a clip with more keyframes than attend to each other, and goes on from any step"
  )
  func longTokenFlow() throws {
    let model = try TinyWorld.model.get()
    func prompt(_ text: String) -> Prompts.Prompt { .init(text, context: model.encode([text])) }
    let clip = InvertedClip(
      trajectory: Trajectory(
        timesteps: [501, 1], latents: [latents, latents * 0.5], clean: latents),
      prompts: Prompts(source: prompt("a ball"), negative: prompt(""), target: prompt("a cube")))
    var tokenFlow = TokenFlow()
    tokenFlow.groupSize = 4
    var after: [Tensor] = []
    let edited = try tokenFlow.edit(clip, with: model) { after.append($1) }
    #expect(edited.shape == latents.shape && edited.isFinite)
    let resumed = try tokenFlow.edit(
      clip, with: model, resuming: Resumption(steps: 1, latents: after[0]))
    #expect(resumed.values == edited.values)
  }

  @Test(
    "linear blending goes from keyframe to keyframe in equal steps, also past a short last group")
  func linearBlending() {
    let groups = [0..<8, 8..<16, 16..<18]
    var weights = [[Float]]()
    for (group, frames) in groups.enumerated() {
      for frame in frames {
        var row: [Float] = [0, 0, 0]
        for share in EditorOptions.Blending.linear.shares(of: frame, in: group, of: groups) {
          row[share.group] += share.weight
        }
        weights.append(row)
      }
    }
    #expect(weights.allSatisfy { abs($0.reduce(0, +) - 1) < 1e-6 && $0.allSatisfy { $0 >= 0 } })
    // Middles at 3.5, 11.5 and 16.5.
    #expect(weights[0] == [1, 0, 0] && weights[3] == [1, 0, 0] && weights[17] == [0, 0, 1])
    for frame in 4..<11 { #expect(abs(weights[frame + 1][1] - weights[frame][1] - 0.125) < 1e-6) }
    for frame in 12..<16 { #expect(abs(weights[frame + 1][2] - weights[frame][2] - 0.2) < 1e-6) }
  }

  @Test("an edit whose trajectory lies on disk has the same bits")
  func trajectoryOnDisk() throws {
    let frames = (RandomNumbers(seed: 1, stream: "clip").normal([9, 40, 56, 3]) * 0.3)
      .clippedToPictures
    var edit = VideoEdit(
      model: try TinyWorld.model.get(),
      settings: EditSettings(prompt: "a blue ball", steps: 3, bases: 16), measures: true)
    let whole = try edit.run(frames: frames) { _ in }
    edit.mostInMemory = 0
    let scratched = try edit.run(frames: frames, scratchFolder: NSTemporaryDirectory()) { _ in }
    #expect(scratched.edited.values == whole.edited.values)
    #expect(scratched.reconstructed?.values == whole.reconstructed?.values)
    #expect(throws: DurableFileError.self) {
      try edit.run(frames: frames, scratchFolder: "/proc/nowhere") { _ in }
    }
  }

  private func relativeError(_ tensor: Tensor, _ expected: Tensor) -> Double {
    let (values, expected) = (tensor.values, expected.values)
    let difference = zip(values, expected).reduce(0.0) {
      $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1))
    }
    return (difference / expected.reduce(0.0) { $0 + Double($1 * $1) }).squareRoot()
  }
}

import StableDiffusion
import Tensor
import Testing
import VideoEditing

@Suite struct Pix2VideoTests {
  private let golden: EditorGolden
  private let model: StableDiffusionModel
  private let clip: InvertedClip

  init() throws {
    golden = try EditorGolden("pix2video-104x72")
    model = try TinyWorld.model.get()
    clip = try golden.clip(
      inverted: golden.latents("inverted"), steps: golden.steps("latents").count, for: model)
  }

  /// Latents after each step.
  private func edited(by editor: Pix2Video, resuming: Resumption? = nil) throws -> [Tensor] {
    var after: [Tensor] = []
    let last = try editor.edit(clip, with: model, resuming: resuming) { step, latents in
      #expect(step == (resuming?.steps ?? 0) + after.count + 1)
      after.append(latents)
    }
    #expect(last.values == after.last?.values)
    return after
  }

  @Test("every step gives what the authors' code gives")
  func agrees() throws {
    let theirs = try golden.steps("latents")
    var editor = Pix2Video(guidance: try golden.number("guidance"))
    // Theirs is the mean over this clip's latents, ours over those of 512x512.
    editor.pull *= 4 * 64 * 64 / Double(theirs[0].count / theirs[0].shape[0])
    let ours = try edited(by: editor)
    try #require(ours.count == theirs.count)
    for (ours, theirs) in zip(ours, theirs) { #expect(relativeError(ours, theirs) < 1e-4) }
  }

  @Test("the pull of the previous frame matters, and ends with its share of the steps")
  func pullEnds() throws {
    let guided = try edited(by: Pix2Video())
    var free = Pix2Video()
    free.pull = 0
    let unguided = try edited(by: free)
    #expect(relativeError(unguided[0], guided[0]) > 1e-3)
    // The first frame is drawn to none.
    #expect(unguided[0].rows(0..<1).values == guided[0].rows(0..<1).values)
    var once = Pix2Video()
    once.pullShare = 0
    let first = try edited(by: once)
    #expect(first[0].values == guided[0].values)
    #expect(first[1].values != guided[1].values)
  }

  @Test("an edit that goes on after any step ends with the same bits", arguments: 1...5)
  func resumes(after steps: Int) throws {
    let whole = try edited(by: Pix2Video())
    let resumption = Resumption(steps: steps, latents: whole[steps - 1])
    let last = try Pix2Video().edit(clip, with: model, resuming: resumption)
    #expect(last.values == whole[4].values)
  }
}

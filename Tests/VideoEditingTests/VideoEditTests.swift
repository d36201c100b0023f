import EditSettings
import StableDiffusion
import Tensor
import Testing
import VideoEditing

@Suite struct VideoEditTests {
  private func clip(frames: Int, height: Int = 40, width: Int = 56) -> Tensor {
    (RandomNumbers(seed: 1, stream: "clip").normal([frames, height, width, 3]) * 0.3)
      .clippedToPictures
  }

  private func edit(_ settings: EditSettings, frames: Int) throws -> Tensor {
    try VideoEdit(model: TinyWorld.model.get(), settings: settings).run(
      frames: clip(frames: frames)
    ) { _ in }.edited
  }

  @Test(
    "any number of frames is edited, a last group shorter than the others included",
    arguments: [1, 2, 9])
  func anyNumberOfFrames(frames: Int) throws {
    let edited = try edit(EditSettings(prompt: "a blue ball", steps: 2, bases: 16), frames: frames)
    #expect(edited.shape == [frames, 40, 56, 3])
    #expect(edited.isFinite)
  }

  @Test(
    "every inversion goes with every method", arguments: InversionMethod.allCases,
    EditingMethod.allCases)
  func inversionsAndMethods(inversion: InversionMethod, method: EditingMethod) throws {
    let edited = try edit(
      EditSettings(
        prompt: "a blue ball", method: method, inversion: inversion, steps: 2, bases: 16), frames: 3
    )
    #expect(edited.shape == [3, 40, 56, 3] && edited.isFinite)
  }

  @Test(
    "what is left to its defaults edits as it does when it is spelled out",
    arguments: EditingMethod.allCases)
  func settingsInForce(method: EditingMethod) throws {
    let asked = EditSettings(
      prompt: "a blue ball", sourcePrompt: "a red ball", method: method, steps: 2, bases: 16)
    let inForce = VideoEdit(model: try TinyWorld.model.get(), settings: asked).settingsInForce
    switch method {
    case .tokenflow: #expect(inForce.options.groupSize == 8 && inForce.options.blending == .linear)
    case .fatezero: #expect(inForce.options.crossAttentionShare == 0.8)
    case .pix2video: #expect(inForce.options.pull == 100)
    case .reconstruct, .text2videoZero: #expect(inForce.options == asked.options)
    }
    #expect(try edit(inForce, frames: 3).values == edit(asked, frames: 3).values)
  }

  @Test("what was asked of a method is what it goes by", arguments: EditingMethod.allCases)
  func askedIsInForce(method: EditingMethod) throws {
    var asked = EditSettings(prompt: "a blue ball", sourcePrompt: "a red ball", method: method)
    asked.options = .allSet(for: method)
    #expect(
      VideoEdit(model: try TinyWorld.model.get(), settings: asked).settingsInForce == asked)
  }

  @Test("what the settings say of the inversion and of the editor makes a difference")
  func optionsMatter() throws {
    let plain = EditSettings(
      prompt: "a blue ball", method: .tokenflow, inversion: .stem, steps: 2, bases: 16)
    let bits = try edit(plain, frames: 9).values
    for change: (inout EditSettings) -> Void in [
      { $0.temperature = 1 }, { $0.basesOf = .features }, { $0.inversionSteps = 4 },
      { $0.options.attentionShare = 0 }, { $0.options.featureShare = 0 },
      { $0.options.groupSize = 2 }, { $0.options.freeU = true }, { $0.options.blending = .authors },
    ] {
      var settings = plain
      change(&settings)
      let edited = try edit(settings, frames: 9)
      #expect(edited.isFinite && edited.values != bits, "\(settings)")
    }
  }

  @Test("an inversion that does not pass the edit's noise levels is refused")
  func inversionSteps() throws {
    var settings = EditSettings(prompt: "x", steps: 30)
    settings.inversionSteps = 60
    let error = #expect(throws: ModelError.self) { try edit(settings, frames: 1) }
    #expect("\(error!)".contains("60 'inversion_steps' do not pass"), "\(error!)")
  }

  @Test("the same seed gives the same bits, another seed others")
  func seeds() throws {
    var settings = EditSettings(prompt: "a blue ball", steps: 3, bases: 16)
    let first = try edit(settings, frames: 9).values
    #expect(try edit(settings, frames: 9).values == first)
    settings.seed = 1
    #expect(try edit(settings, frames: 9).values != first)
  }

  @Test("the prompt, the negative prompt and the guidance make a difference")
  func promptsMatter() throws {
    let plain = try edit(EditSettings(prompt: "a blue ball", steps: 2, bases: 16), frames: 2).values
    #expect(
      try edit(EditSettings(prompt: "a red cube", steps: 2, bases: 16), frames: 2).values != plain)
    #expect(
      try edit(
        EditSettings(prompt: "a blue ball", negativePrompt: "snow", steps: 2, bases: 16), frames: 2
      ).values != plain)
    #expect(
      try edit(EditSettings(prompt: "a blue ball", steps: 2, guidance: 1, bases: 16), frames: 2)
        .values != plain)
  }

  @Test("progress passes every stage in order, never goes back, and ends complete")
  func progressIsOrderly() throws {
    var seen: [EditProgress] = []
    _ = try VideoEdit(
      model: TinyWorld.model.get(), settings: EditSettings(prompt: "x", steps: 2, bases: 16),
      measures: true
    )
    .run(frames: clip(frames: 2)) { seen.append($0) }
    var stages: [EditProgress.Stage] = []
    for progress in seen where progress.stage != stages.last { stages.append(progress.stage) }
    #expect(Array(stages.prefix(4)) == [.encodeLatents, .invert, .reconstruct, .edit])
    #expect(seen.allSatisfy { $0.step <= $0.steps && $0.frames == 2 })
    for (before, after) in zip(seen, seen.dropFirst()) where before.stage == after.stage {
      #expect(before.step <= after.step && before.steps == after.steps)
    }
    #expect(stages.count == Set(stages).count)
    #expect(seen.contains { $0.stage == .edit && $0.step == 2 })
    #expect(seen.last?.stage == .decodeLatents && seen.last?.step == seen.last?.steps)
  }

  @Test("what progress throws ends the edit at that step")
  func cancellation() throws {
    struct Stop: Error {}
    var steps = 0
    #expect(throws: Stop.self) {
      try VideoEdit(
        model: TinyWorld.model.get(), settings: EditSettings(prompt: "x", steps: 5, bases: 16)
      ).run(frames: clip(frames: 2)) { progress in
        if progress.stage == .invert { steps = progress.step }
        if steps == 2 { throw Stop() }
      }
    }
    #expect(steps == 2)
  }

  @Test("a step count beyond the model's is refused before any work")
  func tooManySteps() throws {
    #expect(throws: ModelError.self) {
      try VideoEdit(model: TinyWorld.model.get(), settings: EditSettings(prompt: "x", steps: 1000))
        .run(frames: clip(frames: 1)) { _ in
          Issue.record("work began")
        }
    }
  }
}

extension EditorOptions {
  /// A value that is no default for all that a method can be told.
  static func allSet(for method: EditingMethod) -> EditorOptions {
    var options = EditorOptions()
    switch method {
    case .reconstruct, .text2videoZero: break
    case .tokenflow:
      (options.attentionShare, options.featureShare) = (0.1, 0.2)
      (options.groupSize, options.blending, options.freeU) = (3, .authors, true)
    case .fatezero:
      (options.attentionShare, options.crossAttentionShare) = (0.1, 0.2)
      (options.emphasis, options.replaceWords) = (["blue": 2], true)
      (options.blendWords, options.blendThreshold) = (["red"], 0.4)
    case .pix2video: options.pull = 7
    }
    return options
  }
}

import EditSettings
import StableDiffusion
import Tensor
import Testing
import VideoEditing

@Suite struct Text2VideoZeroTests {
  private let golden: EditorGolden
  private let model: StableDiffusionModel

  init() throws {
    golden = try EditorGolden("text2video-zero-160x96")
    model = try TinyWorld.model.get()
  }

  /// Latents after each step.
  private func steps(
    of editor: some Editor, _ clip: InvertedClip, with model: StableDiffusionModel,
    resuming: Resumption? = nil
  ) throws -> [Tensor] {
    var after: [Tensor] = []
    let last = try editor.edit(clip, with: model, resuming: resuming) { _, latents in
      after.append(latents)
    }
    #expect(last.values == after.last?.values)
    return after
  }

  @Test(
    "cross-frame attention on inverted latents gives what the authors' attention gives",
    arguments: [8, 2, 1])
  func edits(groupSize: Int) throws {
    let theirs = try golden.steps("edited.latents")
    var editor = Text2VideoZero(guidance: try golden.number("guidance"))
    editor.groupSize = groupSize
    let clip = try golden.clip(
      inverted: golden.latents("edited.inverted"), steps: theirs.count, for: model)
    let ours = try steps(of: editor, clip, with: model)
    try #require(ours.count == theirs.count)
    for (ours, theirs) in zip(ours, theirs) { #expect(relativeError(ours, theirs) < 1e-4) }
  }

  @Test("an edit that goes on after any step ends with the same bits", arguments: 1...4)
  func resumes(after step: Int) throws {
    let clip = try golden.clip(
      inverted: golden.latents("edited.inverted"), steps: 4, for: model)
    let whole = try steps(of: Text2VideoZero(), clip, with: model)
    let last = try Text2VideoZero().edit(
      clip, with: model, resuming: Resumption(steps: step, latents: whole[step - 1]))
    #expect(last.values == whole[3].values)
  }

  @Test(
    "editing by instruction gives what the authors' pipeline gives, group by group and resumed")
  func instructs() throws {
    let instructed = try InstructedModel(golden.tensor("instructed.conv_in"))
    let model = try StableDiffusionModel(at: instructed.folder)
    #expect(model.takesInstructions)
    let (theirs, noise) = (
      try golden.steps("instructed.latents"), try golden.steps("instructed.noise")
    )
    var editor = VideoInstructPix2Pix(
      steps: theirs.count, guidance: try golden.number("guidance"),
      imageGuidance: try golden.number("image_guidance"))
    editor.noise = { step, _ in noise[step.map { $0 + 1 } ?? 0] }
    let clip = InvertedClip(
      trajectory: Trajectory(
        timesteps: [], latents: [],
        clean: try golden.latents("instructed.image") * Float(model.autoencoder.scalingFactor)),
      prompts: try golden.prompts())
    for groupSize in [8, 2] {
      editor.groupSize = groupSize
      let ours = try steps(of: editor, clip, with: model)
      try #require(ours.count == theirs.count)
      for (ours, theirs) in zip(ours, theirs) { #expect(relativeError(ours, theirs) < 1e-4) }
      let last = try editor.edit(
        clip, with: model, resuming: Resumption(steps: 3, latents: ours[2]))
      #expect(last.values == ours[3].values)
    }
  }

  @Test("a guidance for edits by instruction is refused where the model takes none")
  func noInstructions() throws {
    var settings = EditSettings(prompt: "make it blue", method: .text2videoZero, steps: 2)
    let model = try TinyWorld.model.get()
    try VideoEdit.check(settings, for: model)
    settings.options.imageGuidance = 2
    let error = #expect(throws: ModelError.self) { try VideoEdit.check(settings, for: model) }
    #expect(error?.description.hasPrefix("'image_guidance' is for models that take") == true)
  }

  @Test("a model that takes instructions edits a clip without inverting it, by its own method only")
  func instructedClip() throws {
    let instructed = try InstructedModel(golden.tensor("instructed.conv_in"))
    let model = try StableDiffusionModel(at: instructed.folder)
    let frames = Tensor(repeating: 0.5, shape: [2, 40, 56, 3])
    func edit(_ settings: EditSettings) throws -> (WholeEdit, Set<EditProgress.Stage>) {
      var seen: Set<EditProgress.Stage> = []
      let result = try VideoEdit(model: model, settings: settings, measures: true).run(
        frames: frames
      ) { seen.insert($0.stage) }
      return (result, seen)
    }
    let (result, stages) = try edit(
      EditSettings(prompt: "make it blue", method: .text2videoZero, steps: 2))
    #expect(result.edited.shape == frames.shape && result.edited.isFinite)
    #expect(result.reconstructed == nil)
    // Nobody is to wait for one that does not come.
    let settings = EditSettings(prompt: "make it blue", method: .text2videoZero)
    let promisesOne = VideoEdit(model: model, settings: settings, measures: true).reconstructs
    #expect(!promisesOne)
    #expect(!stages.contains(.invert) && stages.contains(.edit))
    for method in EditingMethod.allCases where method != .text2videoZero {
      let error = #expect(throws: ModelError.self) {
        try edit(EditSettings(prompt: "make it blue", method: method, steps: 2))
      }
      #expect(error?.description.contains("text2video-zero") == true)
    }
    #expect(throws: ModelError.self) {
      try edit(EditSettings(prompt: "make it blue", method: .text2videoZero, steps: 1001))
    }
  }
}

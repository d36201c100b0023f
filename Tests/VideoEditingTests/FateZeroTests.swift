import EditSettings
import Foundation
import StableDiffusion
import Tensor
import Testing

@testable import VideoEditing

/// What the authors' own code made of the tiny world's model (`Tests/References/fatezero_reference.py`).
private struct FateZeroGolden {
  let file: SafetensorsFile
  let model: StableDiffusionModel

  init() throws {
    file = try SafetensorsFile(
      TinyWorld.golden.deletingLastPathComponent().appending(path: "fatezero.safetensors"))
    model = try TinyWorld.model.get()
  }

  static let clips = ["small", "large"]
  static let edits = ["small.refined", "small.replaced", "small.emphasized", "large.blended"]

  struct Options: Decodable {
    struct Emphasis: Decodable { let words: [String], values: [Double] }

    let prompt: String
    let is_replace_controller: Bool
    let cross_replace_steps, self_replace_steps: Double
    let equilizer_params: Emphasis?
    let blend_words: [[String]]?
    let blend_th: [Double]?
  }

  func options(_ edit: String) throws -> Options {
    try JSONDecoder().decode(Options.self, from: Data(try #require(file.metadata[edit]).utf8))
  }

  var source: String { get throws { try #require(file.metadata["source"]) } }
  var leastChannels: Int {
    get throws { try #require(file.metadata["least_channels"].flatMap { Int($0) }) }
  }

  func latents(_ name: String) throws -> Tensor { try file.tensor(name).channelsLast() }

  func trajectory(of clip: String) throws -> Trajectory {
    let all = try file.tensor("\(clip).trajectory")
    let timesteps = try file.integers("\(clip).timesteps")
    return Trajectory(
      timesteps: timesteps,
      latents: timesteps.indices.map {
        all.rows($0..<$0 + 1).reshaped(Array(all.shape.dropFirst())).channelsLast()
      }, clean: try latents("\(clip).clean"))
  }

  func editor(_ edit: String) throws -> FateZero {
    let options = try options(edit)
    var editor = FateZero(
      guidance: try #require(file.metadata["guidance"].flatMap { Double($0) }))
    editor.crossShare = options.cross_replace_steps
    editor.selfShare = options.self_replace_steps
    editor.replacesWords = options.is_replace_controller
    editor.leastChannels = try leastChannels
    if let emphasis = options.equilizer_params {
      editor.emphasis = Dictionary(
        uniqueKeysWithValues: zip(emphasis.words, emphasis.values))
    }
    if let words = options.blend_words { editor.blendWords = words[0] }
    if let threshold = options.blend_th { editor.blendThreshold = threshold[0] }
    return editor
  }

  /// ‖ours − theirs‖₂ / ‖theirs‖₂.
  func error(of ours: Tensor, to theirs: Tensor) -> Double {
    #expect(ours.shape == theirs.shape)
    func square(_ tensor: Tensor) -> Double {
      tensor.values.reduce(0) { $0 + Double($1) * Double($1) }
    }
    return (square(ours - theirs) / square(theirs)).squareRoot()
  }
}

extension Prompts {
  fileprivate init(_ source: String, _ negative: String, _ target: String) throws {
    let model = try TinyWorld.model.get()
    func prompt(_ text: String) -> Prompt { Prompt(text, context: model.encode([text])) }
    self.init(source: prompt(source), negative: prompt(negative), target: prompt(target))
  }
}

@Suite struct FateZeroReferenceTests {
  @Test("inversion with FateZero's UNet is the authors'", arguments: FateZeroGolden.clips)
  func inversion(clip: String) throws {
    let golden = try FateZeroGolden()
    let theirs = try golden.trajectory(of: clip)
    let ours = try Inversion(golden.model).invert(
      theirs.clean, context: golden.model.encode([golden.source]),
      steps: theirs.timesteps.count,
      processor: FateZeroNetwork(leastChannels: golden.leastChannels))
    #expect(ours.timesteps == theirs.timesteps)
    for (ours, theirs) in zip(ours.latents, theirs.latents) {
      #expect(golden.error(of: ours, to: theirs) < 5e-6)
    }
  }

  @Test(
    "prompts are aligned as the authors' controllers align them", arguments: FateZeroGolden.edits)
  func alignment(edit: String) throws {
    let golden = try FateZeroGolden()
    let options = try golden.options(edit)
    let words = FateZeroWords(
      source: try golden.source, target: options.prompt, tokenizer: golden.model.tokenizer)
    var alignment = words.alignment(replacing: options.is_replace_controller)
    if let emphasis = options.equilizer_params {
      for (word, factor) in zip(emphasis.words, emphasis.values) {
        for place in try words.places(ofTarget: word) {
          alignment.emphasize(place, by: Float(factor))
        }
      }
    }
    let positions = golden.model.tokenizer.length
    var matrix = [Float](repeating: 0, count: positions * positions)
    for share in alignment.shares {
      matrix[share.source * positions + share.target] += share.weight
    }
    #expect(try golden.file.tensor("\(edit).matrix").values == matrix)
    #expect(try golden.file.tensor("\(edit).own").values == alignment.own)
  }

  @Test(
    "edits are the authors', at the first step and at the last", arguments: FateZeroGolden.edits)
  func edits(edit: String) throws {
    let golden = try FateZeroGolden()
    let clip = edit.components(separatedBy: ".")[0]
    var first: Tensor?
    let last = try golden.editor(edit).edit(
      InvertedClip(
        trajectory: try golden.trajectory(of: clip),
        prompts: try Prompts(golden.source, "", golden.options(edit).prompt)),
      with: golden.model
    ) { step, latents in if step == 1 { first = latents } }
    let errors = (
      golden.error(of: try #require(first), to: try golden.latents("\(edit).first")),
      golden.error(of: last, to: try golden.latents("\(edit).last"))
    )
    #expect(errors.0 < 1e-5 && errors.1 < 2e-5, "\(errors)")
  }

  @Test("the mask is the authors', on every feature map", arguments: ["9x9", "17x17", "5x5"])
  func mask(size: String) throws {
    let golden = try FateZeroGolden()
    let trajectory = try golden.trajectory(of: "large")
    let options = try golden.options("large.blended")
    let words = FateZeroWords(
      source: try golden.source, target: options.prompt, tokenizer: golden.model.tokenizer)
    let source = FateZeroSource(
      FateZeroNetwork(leastChannels: try golden.leastChannels),
      FateZeroFusion(
        fusesSelf: true, alignment: nil,
        blended: try #require(options.blend_words)[0].flatMap { try words.places(ofSource: $0) },
        blendThreshold: Float(try #require(options.blend_th)[0])))
    _ = try golden.model.unet(
      trajectory.latents[1], timestep: trajectory.timesteps[0],
      context: golden.model.encode([golden.source]), processor: source)
    let side = try #require(Int(size.prefix { $0 != "x" }))
    let theirs = try golden.file.tensor("large.blended.mask.\(size)").values.map { $0 == 1 }
    #expect(theirs.contains(true) && theirs.contains(false))
    #expect(source.mask?.tokens(of: FeatureGrid(height: side, width: side)) == theirs)
  }
}

@Suite struct FateZeroTests {
  private var stem: STEMAttention { STEMAttention(bases: 16, iterations: 5, seed: 0) }

  private func trajectory(frames: Int, steps: Int, pairs: Bool = false) throws
    -> Trajectory
  {
    let model = try TinyWorld.model.get()
    let numbers = RandomNumbers(seed: 1, stream: "trajectory")
    let distinct = numbers.normal([steps + 1, pairs ? frames / 2 : frames, 5, 7, 4])
    let levels = (0...steps).map { level in
      let level = distinct.rows(level..<level + 1).reshaped(Array(distinct.shape.dropFirst()))
      return pairs ? level.rows((0..<frames).map { $0 / 2 }) : level.rows(0..<frames)
    }
    return Trajectory(
      timesteps: try model.scheduler.timesteps(steps), latents: Array(levels.dropLast()),
      clean: levels[steps])
  }

  private func clip(
    frames: Int, steps: Int, pairs: Bool = false, stem: Bool = false,
    source: String = "a red metal ball on sand", target: String = "a blue metal cube on sand"
  ) throws -> InvertedClip {
    InvertedClip(
      trajectory: try trajectory(frames: frames, steps: steps, pairs: pairs),
      prompts: try Prompts(source, "", target),
      stem: stem ? self.stem : nil)
  }

  private var editor: FateZero {
    var editor = FateZero()
    editor.blendWords = ["ball"]
    editor.emphasis = ["blue": 2]
    return editor
  }

  @Test("a resumed edit has the same bits", arguments: [false, true])
  func resumes(stem: Bool) throws {
    let clip = try clip(frames: 3, steps: 4, stem: stem)
    var passed: [Tensor] = []
    let whole = try editor.edit(clip, with: TinyWorld.model.get()) { passed.append($1) }
    #expect(passed.count == 4 && passed[3].values == whole.values && whole.isFinite)
    for steps in 1...3 {
      let resumed = try editor.edit(
        clip, with: TinyWorld.model.get(),
        resuming: Resumption(steps: steps, latents: passed[steps - 1]))
      #expect(resumed.values == whole.values)
    }
  }

  /// The sample of 64 frames is every second one: of a clip whose frames come in pairs, it has the
  /// statistics, the middle frame and the bases of all.
  @Test("what a sample finds serves all frames of a long clip", arguments: [false, true])
  func groups(stem: Bool) throws {
    let long = try clip(frames: 64, steps: 2, pairs: true, stem: stem)
    let short = try clip(frames: 32, steps: 2, stem: stem)
    let pairs = (0..<64).map { $0 / 2 }
    #expect(long.trajectory.inverted.values == short.trajectory.inverted.rows(pairs).values)
    let model = try TinyWorld.model.get()
    let (grouped, whole) = try (editor.edit(long, with: model), editor.edit(short, with: model))
    let error = FateZeroTests.error(of: grouped, to: whole.rows(pairs))
    #expect(error < 1e-6)
  }

  @Test("a clip of more frames than a sample has is edited", arguments: [false, true])
  func longClips(stem: Bool) throws {
    let clip = try clip(frames: 37, steps: 1, stem: stem)
    var editor = editor
    (editor.crossShare, editor.selfShare) = (1, 1)
    let edited = try editor.edit(clip, with: TinyWorld.model.get())
    #expect(edited.shape == clip.trajectory.clean.shape && edited.isFinite)
    #expect(editor.passesPerStep(frames: 37) == 3 * 37)
  }

  /// All that is fused is then what is there already.
  @Test(
    "with the source's own latents and prompt the fused stream is the source's",
    arguments: [false, true], [false, true])
  func fusingTheSame(stem: Bool, blends: Bool) throws {
    let model = try TinyWorld.model.get()
    let prompt = "a red metal ball on sand"
    let words = FateZeroWords(source: prompt, target: prompt, tokenizer: model.tokenizer)
    let fusion = FateZeroFusion(
      fusesSelf: true, alignment: words.alignment(replacing: false),
      blended: blends ? try words.places(ofSource: "ball") : [], blendThreshold: 0.5)
    let latents = try trajectory(frames: 4, steps: 1).clean
    let context = model.encode([prompt])
    func network() -> FateZeroNetwork {
      FateZeroNetwork(leastChannels: 96, stem: stem ? self.stem : nil)
    }
    let source = FateZeroSource(network(), fusion)
    func output(_ processor: some UNetProcessor) throws -> Tensor {
      try model.unet(latents, timestep: 501, context: context, processor: processor)
    }
    let theirs = try output(source)
    #expect(try output(network()).values == theirs.values)
    let ours = try output(FateZeroEdit(network(), fusion, from: source))
    #expect(FateZeroTests.error(of: ours, to: theirs) < 1e-5)
  }

  @Test("every option makes a difference")
  func options() throws {
    let clip = try clip(frames: 2, steps: 2)
    let model = try TinyWorld.model.get()
    func edit(_ change: (inout FateZero) -> Void) throws -> [Float] {
      var editor = FateZero()
      change(&editor)
      return try editor.edit(clip, with: model).values
    }
    let changes: [(inout FateZero) -> Void] = [
      { _ in }, { $0.crossShare = 0 }, { $0.selfShare = 0 }, { $0.replacesWords = true },
      { $0.emphasis = ["cube": 3] }, { $0.leastChannels = 1000 },
      { $0.guidance = 1 },
    ]
    #expect(Set(try changes.map(edit)).count == changes.count)
    // A mask of everything leaves nothing of the source's self-attention, and an empty one all.
    #expect(
      try edit { ($0.blendWords, $0.blendThreshold) = (["ball"], 0) } == edit { $0.selfShare = 0 })
    #expect(
      try edit { ($0.blendWords, $0.blendThreshold) = (["ball"], 1) } == edit { _ in })
  }

  @Test(
    "without a source prompt, or without a word in common, self-attention alone is the source's",
    arguments: ["", "snow"])
  func nothingShared(source: String) throws {
    let clip = try clip(frames: 2, steps: 2, source: source, target: "a blue cube")
    let model = try TinyWorld.model.get()
    var editor = FateZero()
    let edited = try editor.edit(clip, with: model).values
    editor.crossShare = 0
    #expect(try editor.edit(clip, with: model).values == edited)
    editor.selfShare = 0
    #expect(try editor.edit(clip, with: model).values != edited)
  }

  @Test("a word that its prompt has not is named")
  func missingWords() throws {
    let model = try TinyWorld.model.get()
    func message(source: String = "a red Ball, on sand", _ change: (inout FateZero) -> Void)
      -> String?
    {
      var editor = FateZero()
      change(&editor)
      do {
        try editor.check(source: source, target: "a cube", model: model)
        return nil
      } catch { return "\(error)" }
    }
    #expect(message { $0.blendWords = ["ball"] } == nil)
    #expect(message { $0.emphasis = ["Cube": 2] } == nil)
    #expect(
      message { $0.blendWords = ["red cube"] }?.contains("source prompt has no word 'cube'") == true
    )
    #expect(message { $0.emphasis = ["ball": 2] }?.contains("prompt has no word 'ball'") == true)
    let long = String(repeating: "a red cube on sand and ", count: 12) + "a ball"
    #expect(
      message(source: long) { $0.blendWords = ["ball"] }?.contains(
        "lies beyond what this model reads")
        == true)
  }

  private static func error(of ours: Tensor, to theirs: Tensor) -> Double {
    func square(_ tensor: Tensor) -> Double {
      tensor.values.reduce(0) { $0 + Double($1) * Double($1) }
    }
    return (square(ours - theirs) / square(theirs)).squareRoot()
  }
}

@Suite struct PromptAlignmentTests {
  private func sources(_ source: [Int], _ target: [Int], positions: Int) -> [Int?] {
    let alignment = PromptAlignment(refining: source, to: target, positions: positions)
    #expect(alignment.shares.allSatisfy { $0.weight == 1 })
    let sources = (0..<positions).map { token in
      alignment.shares.first { $0.target == token }?.source
    }
    #expect(alignment.own == sources.map { $0 == nil ? 1 : 0 })
    return sources
  }

  @Test("tokens that both prompts have are paired in their order")
  func refinement() {
    // Start 1, end 9, padding behind.
    #expect(sources([1, 5, 6, 9], [1, 5, 6, 9], positions: 6) == [0, 1, 2, 3, 4, 5])
    #expect(sources([1, 5, 6, 9], [1, 5, 7, 6, 9], positions: 6) == [0, 1, nil, 2, 3, 5])
    #expect(sources([1, 5, 6, 7, 9], [1, 7, 9], positions: 6) == [0, 3, 4, 3, 4, 5])
    // A token in another's place is new: a mismatch is worse than a gap.
    #expect(sources([1, 5, 9], [1, 6, 9], positions: 4) == [0, nil, 2, 3])
    // Of two ways to pair a token, the earlier one in the source.
    #expect(sources([1, 5, 5, 9], [1, 5, 9], positions: 4) == [0, 1, 3, 3])
  }

  @Test("a word takes the attention of the one in its place, shared among its tokens")
  func replacement() {
    let alignment = PromptAlignment(
      replacing: [("a", 1..<2), ("cat", 2..<3), ("ran", 3..<4)],
      by: [("a", 1..<2), ("tiger", 2..<4), ("ran", 4..<5)], positions: 7)
    var matrix = [[Float]](repeating: [Float](repeating: 0, count: 7), count: 7)
    for share in alignment.shares { matrix[share.source][share.target] += share.weight }
    #expect(
      matrix == [
        [1, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0], [0, 0, 0.5, 0.5, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 1],
      ])
    #expect(alignment.own.allSatisfy { $0 == 0 })
  }

  @Test("emphasis multiplies what a token takes and what it keeps")
  func emphasis() {
    var alignment = PromptAlignment(refining: [1, 5, 9], to: [1, 5, 6, 9], positions: 4)
    alignment.emphasize(1..<3, by: 3)
    #expect(alignment.shares.map(\.weight) == [1, 3, 1] && alignment.own == [0, 0, 3, 0])
  }
}

@Suite struct BlendMaskTests {
  @Test("a map of any shape is spread, scaled frame by frame, and cut at the threshold")
  func mask() {
    // Two frames of 2x4, two heads of one channel each; the second frame's numbers are small.
    var mask = BlendMask(threshold: 0.3)
    let first: [Float] = [0, 0, 0, 8, 0, 0, 0, 1]
    let second: [Float] = [0.02, 0, 0.01, 0, 0, 0, 0, 0]
    let map = Tensor((first + second).flatMap { [$0, 3 * $0] }, shape: [2, 8, 2])
    mask.add(map, heads: 2, grid: FeatureGrid(height: 2, width: 4))
    #expect(
      mask.tokens(of: FeatureGrid(height: 2, width: 4)) == [
        false, false, true, true, false, false, true, true,
        true, true, true, true, true, true, true, true,
      ])
    // Nearest pixels of a coarser map, and of a finer one.
    #expect(
      mask.tokens(of: FeatureGrid(height: 1, width: 2)) == [false, true, true, true])
    #expect(
      mask.tokens(of: FeatureGrid(height: 1, width: 8)).prefix(8) == [
        false, false, false, false, true, true, true, true,
      ])
  }

  @Test("where nothing is attended to, nothing is edited")
  func empty() {
    var mask = BlendMask(threshold: 0.3)
    let grid = FeatureGrid(height: 1, width: 2)
    mask.add(Tensor(repeating: 0, shape: [1, 2, 1]), heads: 1, grid: grid)
    #expect(mask.tokens(of: grid) == [false, false])
  }
}

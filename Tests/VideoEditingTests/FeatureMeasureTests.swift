import EditSettings
import StableDiffusion
import Tensor
import Testing

@testable import VideoEditing

/// `Tests/References/features_reference.py` makes the numbers.
@Suite struct FeatureMeasureTests {
  private let golden: EditorGolden
  private let model: StableDiffusionModel

  init() throws {
    golden = try EditorGolden("features-104x72")
    model = try TinyWorld.model.get()
  }

  private func row(_ tensor: Tensor, _ index: Int) -> Tensor {
    tensor.rows(index..<index + 1).reshaped(Array(tensor.shape.dropFirst()))
  }

  @Test("features are the output of the last self-attention, which looking at does not change")
  func tap() throws {
    let (sample, context) = (try golden.latents("sample"), try golden.tensor("context"))
    var seen: [Tensor] = []
    let site = try #require(model.unet.lastSelfAttention)
    let tap = FeatureTap(PlainProcessor(), at: site) { features, grid, frames, timestep in
      #expect(grid == FeatureGrid(height: 9, width: 13))
      #expect(frames == [0, 1, 2] && timestep == 481)
      seen.append(features)
    }
    let output = try model.unet.overClip(sample, timestep: 481, context: context, processor: tap)
    try #require(seen.count == 1)
    #expect(relativeError(seen[0], try golden.tensor("features")) < 1e-4)
    let plain = try model.unet.overClip(
      sample, timestep: 481, context: context, processor: PlainProcessor())
    #expect(output.values == plain.values)
  }

  @Test("motion on the features' grid is PyTorch's mean of that of the pixels")
  func grid() throws {
    let (backward, visible) = (try golden.tensor("backward"), try golden.tensor("visible"))
    let (flow, cells) = (try golden.tensor("flow"), try golden.tensor("cells"))
    for pair in 0..<2 {
      let field = Tensor.concatenatedChannels(
        row(backward, pair), row(visible, pair).reshaped([72, 104, 1]))
      let motion = FrameMotion(field: field).onGrid(height: 9, width: 13)
      #expect(relativeError(motion.field.channels(0..<2), row(flow, pair)) < 1e-5)
      #expect(motion.field.channels(2..<3).values == row(cells, pair).values)
    }
  }

  @Test("the similarity of moved features is PyTorch's")
  func consistency() throws {
    let (features, flow, cells, similarity) = (
      try golden.tensor("features"), try golden.tensor("flow"), try golden.tensor("cells"),
      try golden.tensor("similarity")
    )
    for pair in 0..<2 {
      let motion = FrameMotion(
        field: .concatenatedChannels(row(flow, pair), row(cells, pair).reshaped([9, 13, 1])))
      let (sum, count) = motion.cosines(from: row(features, pair), to: row(features, pair + 1))
      #expect(count == row(cells, pair).values.count { $0 == 1 })
      #expect(abs(sum / Double(count) - Double(similarity.values[pair])) < 1e-5)
    }
  }

  @Test("the picture shows numpy's principal components")
  func picture() throws {
    let features = try golden.tensor("features").reshaped([3, 9, 13, 64])
    let picture = Tensor.picture(ofFeatures: features)
    let theirs = try golden.tensor("picture")
    try #require(picture.shape == theirs.shape)
    let gap = zip(picture.values, theirs.values).map { abs($0 - $1) }.max()
    #expect(try #require(gap) < 1e-4)
  }

  @Test("features that do not differ are a grey picture")
  func flat() {
    let picture = Tensor.picture(ofFeatures: Tensor(repeating: 3, shape: [1, 2, 2, 4]))
    #expect(picture.values.allSatisfy { $0 == 0 })
  }

  /// What a measure says of made-up features, handed over as the UNet is called.
  private func measured(
    frames: Int, calls: [[Int]], state: inout EditState
  ) throws -> (consistency: [Double], picture: Tensor?) {
    let pictures = RandomNumbers(seed: 1, stream: "pictures").normal([frames, 24, 32, 3])
    let features = RandomNumbers(seed: 1, stream: "features").normal([frames, 12, 5])
    let measure = FeatureMeasure(
      Pictures(pictures), timesteps: [7],
      followsMotion: OpticalFlow.absence(height: 24, width: 32) == nil)
    for call in calls {
      try measure.add(features.rows(call), FeatureGrid(height: 3, width: 4), call, 7)
      // A time step that nobody asked for.
      try measure.add(features.rows(call), FeatureGrid(height: 3, width: 4), call, 8)
    }
    state = measure.state(7)
    return (measure.consistency.map(\.value), measure.picture)
  }

  @Test("a long clip's features come in parts, and are compared from frame to frame all the same")
  func parts() throws {
    let frames = 43
    var calls: [[Int]] = []
    _ = ClipPasses.over(frames, reach: .sample) { _, part in
      calls.append(part)
      return Tensor(repeating: 0, shape: [part.count, 1])
    }
    #expect(calls.count == 3)
    var (known, other): (EditState, EditState) = ([:], [:])
    let whole = try measured(frames: frames, calls: [Array(0..<frames)], state: &known)
    let parts = try measured(frames: frames, calls: calls, state: &other)
    #expect(parts.picture?.values == whole.picture?.values)
    #expect(whole.picture?.shape == [FeatureMeasure.picturedFrames, 3, 4, 3])
    #expect(parts.consistency.count == whole.consistency.count)
    for (a, b) in zip(parts.consistency, whole.consistency) { #expect(abs(a - b) < 1e-6) }

    let later = FeatureMeasure(
      Pictures(Tensor(repeating: 0, shape: [frames, 24, 32, 3])), timesteps: [7, 9])
    #expect(later.missed == 2)
    later.recall(known, 7)
    #expect(later.consistency.map(\.value) == whole.consistency && later.missed == 1)
    #expect(later.picture?.values == whole.picture?.values)
    later.recall(["feature-consistency": Tensor([.nan, 1], shape: [2])], 9)
    #expect(later.missed == 1)
  }

  @Test("an edit whose features are looked at has the same bits, and says the same when it goes on")
  func edit() throws {
    var settings = EditSettings(
      prompt: "a blue ball", sourcePrompt: "a red ball", steps: 3, bases: 16)
    settings.method = .reconstruct
    let source = RandomNumbers(seed: 2, stream: "clip").normal([3, 64, 64, 3]).clippedToPictures
    let edit = VideoEdit(model: model, settings: settings)
    func run(_ features: FeatureMeasure?, _ memory: (any EditMemory)? = nil) throws -> Tensor {
      var parts: [Tensor] = []
      try edit.run(Pictures(source), memory: memory, features: features, progress: { _ in }) {
        if $0 == .edited { parts.append($2) }
      }
      return Tensor.concatenated(parts)
    }
    let followsMotion = OpticalFlow.absence(height: 64, width: 64) == nil
    func measure() throws -> FeatureMeasure {
      try #require(try edit.featureMeasure(of: Pictures(source), followsMotion: followsMotion))
    }
    let memory = TrajectoryMemory()
    let (first, second, third) = (try measure(), try measure(), try measure())
    let plain = try run(nil)
    #expect(try run(first).values == plain.values)
    #expect(try run(second, memory).values == plain.values)
    memory.isRecalled = true
    #expect(try run(third, memory).values == plain.values)
    let timesteps = try Array(model.scheduler.timesteps(3).reversed())
    #expect(first.consistency.map(\.timestep) == (followsMotion ? timesteps : []))
    #expect(first.consistency.allSatisfy { (0.1...1).contains($0.value) })
    #expect(first.picture?.shape == [3, 8, 8, 3])
    for other in [second, third] {
      #expect(other.consistency.map(\.value) == first.consistency.map(\.value))
      #expect(other.picture?.values == first.picture?.values && other.missed == 0)
    }
  }

  /// Keeps the trajectory, and gives it back when it is told to.
  private final class TrajectoryMemory: EditMemory {
    var isRecalled = false
    private var states: [EditState] = []

    func steps(of series: EditSeries) -> Int {
      isRecalled && series == .trajectory ? states.count : 0
    }

    func recall(_ series: EditSeries, _ index: Int) -> EditState? { states[index] }

    func keep(_ state: EditState, _ series: EditSeries, _ index: Int, at progress: EditProgress) {
      if series == .trajectory, !isRecalled { states.append(state) }
    }
  }
}

import EditSettings
import StableDiffusion
import Tensor
import Testing
import VideoEditing

/// Keeps states in memory; what it holds can be given to another run.
private final class HeldStates: EditMemory {
  private var known: [EditSeries: [Int: EditState]]
  private(set) var kept: [EditSeries: [Int: EditState]]
  private(set) var recalls = 0

  init(_ known: [EditSeries: [Int: EditState]] = [:]) { (self.known, kept) = (known, known) }

  func steps(of series: EditSeries) -> Int { (known[series]?.keys.max() ?? -1) + 1 }

  func recall(_ series: EditSeries, _ index: Int) -> EditState? {
    recalls += 1
    return known[series]?[index]
  }

  func keep(_ state: EditState, _ series: EditSeries, _ index: Int, at progress: EditProgress) {
    if series.need == .newest { kept[series] = [:] }
    kept[series, default: [:]][index] = state
  }
}

@Suite struct ResumedEditTests {
  private struct Cut: Error {}

  /// Two portions for the autoencoder, a last group of one frame for TokenFlow.
  private func clip() -> Tensor {
    (RandomNumbers(seed: 1, stream: "clip").normal([9, 160, 200, 3]) * 0.3).clippedToPictures
  }

  private func edit(
    _ settings: EditSettings, reconstructs: Bool = false, memory: HeldStates? = nil,
    cutAt cut: EditProgress? = nil, seen: (EditProgress) -> Void = { _ in }
  ) throws -> WholeEdit {
    try VideoEdit(model: TinyWorld.model.get(), settings: settings, measures: reconstructs)
      .run(frames: clip(), memory: memory) { progress in
        seen(progress)
        if let cut, progress.stage == cut.stage, progress.step == cut.step { throw Cut() }
      }
  }

  @Test(
    "an edit that is cut off at every boundary in turn has the same bits in the end",
    arguments: [
      (EditingMethod.tokenflow, InversionMethod.stem, true, nil),
      (.tokenflow, .ddim, false, 10), (.reconstruct, .stem, false, 4),
      (.pix2video, .stem, false, nil), (.text2videoZero, .stem, false, nil),
    ])
  func cutAtEveryBoundary(
    method: EditingMethod, inversion: InversionMethod, reconstructs: Bool, inversionSteps: Int?
  ) throws {
    var settings = EditSettings(
      prompt: "a blue ball", method: method, inversion: inversion, steps: 2, bases: 16)
    settings.inversionSteps = inversionSteps
    var boundaries: [EditProgress] = []
    let whole = try edit(settings, reconstructs: reconstructs) { boundaries.append($0) }
    var memory = HeldStates()
    for boundary in boundaries {
      // Each attempt does one boundary's work, and all before is recalled.
      var computed = 0
      #expect(throws: Cut.self) {
        try edit(settings, reconstructs: reconstructs, memory: memory, cutAt: boundary) { _ in
          computed += 1
        }
      }
      #expect(computed > 0)
      memory = HeldStates(memory.kept)
    }
    let resumed = try edit(settings, reconstructs: reconstructs, memory: memory)
    #expect(memory.recalls > 0)
    #expect(resumed.edited.values == whole.edited.values)
    #expect(resumed.reconstructed?.values == whole.reconstructed?.values)
  }

  @Test("a resumed edit does not repeat what is known, and says where it goes on")
  func repeatsNothing() throws {
    let settings = EditSettings(prompt: "a blue ball", steps: 3, bases: 16)
    let memory = HeldStates()
    #expect(throws: Cut.self) {
      try edit(
        settings, memory: memory,
        cutAt: EditProgress(stage: .edit, step: 2, steps: 3, frames: 9))
    }
    var seen: [String] = []
    _ = try edit(settings, memory: HeldStates(memory.kept)) {
      seen.append("\($0.stage.rawValue) \($0.step)")
    }
    #expect(seen.filter { $0.hasPrefix("invert") } == ["invert 3"])
    #expect(seen.filter { $0.hasPrefix("edit") } == ["edit 2", "edit 3"])
  }

  @Test("an inversion in finer steps goes on between two noise levels")
  func betweenLevels() throws {
    var settings = EditSettings(
      prompt: "a blue ball", method: .reconstruct, steps: 2, bases: 16)
    settings.inversionSteps = 10
    for (cut, next) in [(3, 3), (6, 6), (1, 1)] {
      let memory = HeldStates()
      #expect(throws: Cut.self) {
        try edit(
          settings, memory: memory,
          cutAt: EditProgress(stage: .invert, step: cut, steps: 6, frames: 9))
      }
      var seen: [Int] = []
      _ = try edit(settings, memory: HeldStates(memory.kept)) {
        if $0.stage == .invert { seen.append($0.step) }
      }
      #expect(seen == Array(next...6))
    }
  }

  @Test("states of another shape are computed anew")
  func otherShapes() throws {
    let settings = EditSettings(prompt: "a blue ball", method: .reconstruct, steps: 2, bases: 16)
    let whole = try edit(settings).edited.values
    let wrong: EditState = ["state": Tensor(repeating: 0, shape: [1, 2, 3, 4])]
    let memory = HeldStates([
      .latents: [0: wrong], .trajectory: [0: wrong, 1: [:]], .reconstruction: [1: wrong],
      .reconstructedPictures: [0: wrong],
    ])
    #expect(try edit(settings, memory: memory).edited.values == whole)
  }
}

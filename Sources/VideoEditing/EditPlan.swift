import EditSettings

/// What an edit will do and how much of it there is, to tell the time that is left.
final class EditPlan {
  private struct Part {
    let stage: EditProgress.Stage
    let steps: Int
    /// The cost of one step, in passes of one frame through the UNet.
    let cost: Double
  }

  private let parts: [Part]
  private let frames: Int
  private let start = ContinuousClock.now
  /// The cost of what was recalled rather than computed, which says nothing of this machine's speed.
  private var recalled = 0.0

  /// - Parameter inversionSteps: as many as the inversion walks; `nil` where nothing is inverted.
  init(
    settings: EditSettings, inversionSteps: Int?, editor: (any Editor)?, frames: Int,
    reconstructs: Bool
  ) {
    self.frames = frames
    let wide = Double(frames)
    // A picture through the autoencoder's halves costs about one and two passes of its latent
    // through the UNet.
    var parts = [Part(stage: .encodeLatents, steps: frames, cost: 1)]
    if let inversionSteps {
      parts.append(Part(stage: .invert, steps: inversionSteps, cost: wide))
    }
    if reconstructs { parts.append(Part(stage: .reconstruct, steps: settings.steps, cost: wide)) }
    if let editor {
      parts.append(
        Part(
          stage: .edit, steps: settings.steps, cost: editor.passesPerStep(frames: frames)))
    }
    parts.append(
      Part(
        stage: .decodeLatents,
        steps: reconstructs && editor != nil ? 2 * frames : frames, cost: 2))
    self.parts = parts
  }

  /// Counts steps of a stage as done before this run.
  func recall(_ stage: EditProgress.Stage, _ steps: Int) {
    recalled += Double(steps) * (parts.first { $0.stage == stage }?.cost ?? 0)
  }

  /// Where the edit is, after `step` steps of a stage.
  func progress(_ stage: EditProgress.Stage, _ step: Int) -> EditProgress {
    let position = parts.firstIndex { $0.stage == stage } ?? 0
    let done =
      parts[..<position].reduce(0) { $0 + Double($1.steps) * $1.cost } + Double(step)
      * parts[position].cost
    let total = parts.reduce(0) { $0 + Double($1.steps) * $1.cost }
    let elapsed = (ContinuousClock.now - start) / .seconds(1)
    return EditProgress(
      stage: stage, step: step, steps: parts[position].steps, frames: frames,
      secondsLeft: done > recalled ? elapsed * (total - done) / (done - recalled) : nil,
      share: total > 0 ? done / total : nil)
  }
}

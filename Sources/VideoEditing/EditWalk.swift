import EditSettings
import StableDiffusion
import Tensor

/// An edit's way from step to step: each is recalled where an earlier run has passed it, or else
/// computed and kept.
struct EditWalk {
  let plan: EditPlan
  let memory: (any EditMemory)?
  let progress: (EditProgress) throws -> Void

  func enter(_ stage: EditProgress.Stage, at step: Int = 0) throws {
    try progress(plan.progress(stage, step))
  }

  /// At the end of a step: what it leaves is kept before anybody hears of it.
  ///
  /// - Parameter beside: what else is known of the step, by other names than `only`.
  func pass(
    _ stage: EditProgress.Stage, _ step: Int, _ state: Tensor, _ series: EditSeries, _ index: Int,
    beside: EditState = [:]
  ) throws {
    let place = plan.progress(stage, step)
    memory?.keep(beside.merging([Self.only: state]) { $1 }, series, index, at: place)
    try progress(place)
  }

  /// The first of at most `limit` states, as far as they are known and have the shape.
  ///
  /// - Parameter keep: takes each, with what was kept beside it, before the next one comes into
  ///   memory.
  func recalled(
    _ series: EditSeries, shape: [Int], limit: Int,
    keep: (_ index: Int, Tensor, _ beside: EditState) throws -> Tensor
  ) rethrows -> [Tensor] {
    var states: [Tensor] = []
    while states.count < limit,
      let whole = recalledWhole(series, states.count, shape: shape), let state = whole[Self.only]
    {
      states.append(try keep(states.count, state, whole.filter { $0.key != Self.only }))
    }
    return states
  }

  /// Where a series of which only the newest state matters goes on: after more than `least` and at
  /// most `limit` steps.
  func resumption(
    _ series: EditSeries, of stage: EditProgress.Stage, shape: [Int], after least: Int = 0,
    limit: Int
  ) -> Resumption? {
    guard let steps = memory?.steps(of: series), steps > least, steps <= limit,
      let state = recalled(series, steps - 1, shape: shape)
    else { return nil }
    plan.recall(stage, steps)
    return Resumption(steps: steps, latents: state)
  }

  /// Goes through the portions of frames that the autoencoder takes at a time.
  ///
  /// - Parameters:
  ///   - shape: of one frame's result.
  ///   - done: frames that the stage has done before the first portion.
  ///   - use: takes each portion's result.
  func portions(
    _ portions: [Range<Int>], _ series: EditSeries, of stage: EditProgress.Stage, shape: [Int],
    done: Int = 0, compute: (Range<Int>) throws -> Tensor, use: (Range<Int>, Tensor) throws -> Void
  ) throws {
    try enter(stage, at: done)
    for (index, frames) in portions.enumerated() {
      if let known = recalled(series, index, shape: [frames.count] + shape) {
        plan.recall(stage, frames.count)
        try use(frames, known)
        try enter(stage, at: done + frames.upperBound)
      } else {
        let fresh = try compute(frames)
        try use(frames, fresh)
        try pass(stage, done + frames.upperBound, fresh, series, index)
      }
    }
  }

  /// The state's name in series whose steps leave one tensor.
  private static let only = "state"

  private func recalled(_ series: EditSeries, _ index: Int, shape: [Int]) -> Tensor? {
    recalledWhole(series, index, shape: shape)?[Self.only]
  }

  private func recalledWhole(_ series: EditSeries, _ index: Int, shape: [Int]) -> EditState? {
    guard let memory, (0..<memory.steps(of: series)).contains(index),
      let whole = memory.recall(series, index), whole[Self.only]?.shape == shape
    else { return nil }
    return whole
  }
}

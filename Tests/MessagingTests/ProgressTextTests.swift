import EditSettings
import Foundation
import Testing

@testable import stemctl

@Suite struct ProgressTextTests {
  @Test(
    "progress says stage, step, frames and time left, as far as they are known",
    arguments: [
      (
        EditProgress(stage: .invert, step: 12, steps: 50, frames: 16, secondsLeft: 80),
        "invert 12/50 · 16 frames · 1 min 20 s left"
      ),
      (
        EditProgress(stage: .decodeLatents, step: 0, steps: 1, frames: 1),
        "decode latents · 1 frame"
      ),
      (EditProgress(stage: .load, step: 0, steps: 0, frames: 0), "load"),
      (EditProgress(stage: .edit, step: 1, steps: 2, frames: 0, secondsLeft: -1), "edit 1/2"),
      (EditProgress(stage: .edit, step: 1, steps: 2, frames: 0, secondsLeft: .nan), "edit 1/2"),
    ])
  func text(progress: EditProgress, text: String) {
    #expect(progress.text == text)
  }

  @Test(
    "a time is given in its two greatest units",
    arguments: [
      (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (80, "1 min 20 s"), (3600, "1 h"),
      (7500, "2 h 5 min"), (90_000, "1 d 1 h"),
      (1e300, "11574 d 1 h"), (-5, "0 s"), (.infinity, "?"),
    ])
  func duration(seconds: Double, text: String) {
    #expect(durationText(seconds: seconds) == text)
  }

  @Test("where lines are not rewritten, news come through at once and the rest from time to time")
  func throttle() {
    var throttle = LineThrottle<Int>()
    let start = SuspendingClock.now
    let passed = [
      (1, "invert", 0), (1, "invert", 4.9), (2, "invert", 4.9), (1, "edit", 4.9), (1, "edit", 9.8),
      (1, "edit", 9.9),
    ]
    .map { throttle.passes($0, milestone: $1, at: start + .seconds($2)) }
    #expect(passed == [true, false, true, true, false, true])
  }
}

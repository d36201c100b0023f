import EditSettings
import Testing

@testable import stemctl

@Suite struct ProgressFiguresTests {
  private let progress = ProgressFigures(
    EditProgress(
      stage: .decodeLatents, step: 12, steps: 50, frames: 16, secondsLeft: 80, share: 0.615))

  private func line(_ columns: Int) -> String {
    progress.line(columns: columns, now: progress.read).text
  }

  @Test("a wide line has bar, share of the whole, stage, step, frames and time left")
  func wide() {
    #expect(
      line(100)
        == "███████████████░░░░░░░░░░  61%  decode latents 12/50 · 16 frames · 1 min 20 s left")
  }

  @Test("narrower lines have less and less of it, the stage to the last")
  func narrow() {
    #expect(line(72) == "███████████░░░░░░░  61%  decode latents 12/50 · 1 min 20 s left")
    #expect(line(60) == "█████████░░░░░░  61%  decode latents 12/50 · 1:20 left")
    #expect(line(45) == " 61%  decode latents 12/50 · 1:20 left")
    #expect(line(30) == " 61%  decode latents 12/50")
    #expect(line(12) == " 61%  decod…")
  }

  @Test("no line is wider than it may be, whatever is known")
  func widths() {
    let others = [
      ProgressFigures(stage: "load", step: 0, steps: 1),
      ProgressFigures(
        stage: "edit", step: 999, steps: 1000, frames: 100_000, share: 1, secondsLeft: 1e9),
      ProgressFigures(stage: "edit", step: -1, steps: -1, share: .nan, secondsLeft: .infinity),
    ]
    for figures in others + [progress] {
      for columns in 0...130 {
        #expect(figures.line(columns: columns).width <= columns)
      }
    }
  }

  @Test("the time left goes on while nothing is heard, and never below nothing")
  func countdown() {
    func text(after seconds: Int) -> String {
      progress.line(columns: 45, now: progress.read + .seconds(seconds)).text
    }
    #expect(text(after: 20).hasSuffix("1:00 left"))
    #expect(text(after: 1000).hasSuffix("0:00 left"))
  }

  @Test("a bar is full at the end alone")
  func bar() {
    #expect(progressBar(0.999, columns: 4).text == "███░")
    #expect(progressBar(1, columns: 4).text == "████")
    #expect(progressBar(0, columns: 4).text == "░░░░")
  }

  @Test(arguments: [(0.4, "0:00"), (80, "1:20"), (7509, "2:05:09"), (90_000, "1 d 1 h")])
  func clock(seconds: Double, text: String) {
    #expect(clockText(seconds: seconds) == text)
  }
}

import EditSettings
import Foundation

/// Shows where an edit is: on a terminal as one line that rewrites itself, elsewhere as a line for
/// every stage and now and then between.
struct ProgressLine {
  let terminal: Terminal
  private let live: LiveLines?
  private var throttle = LineThrottle<Int>()

  init(_ terminal: Terminal) {
    self.terminal = terminal
    live = terminal.rewrites ? LiveLines(terminal) : nil
  }

  mutating func show(_ progress: EditProgress) {
    show(ProgressFigures(progress), text: progress.text)
  }

  /// - Parameter text: the figures where lines are not rewritten.
  mutating func show(_ figures: ProgressFigures, text: String) {
    if let live {
      live.show { [figures.line(columns: $0)] }
    } else if throttle.passes(0, milestone: "stage \(figures.stage)", at: .now) {
      terminal.print([StyledText(text)])
    }
  }

  /// Shows what is no progress, such as how it ended.
  /// - Parameter milestone: What is always worth a line of its own where lines are not rewritten.
  mutating func show(_ text: StyledText, milestone: String) {
    if let live {
      live.show { _ in [text] }
    } else if throttle.passes(0, milestone: milestone, at: .now) {
      terminal.print([text])
    }
  }

  /// Says something that stays while the line goes on below it.
  mutating func note(_ sentence: String) {
    let note = StyledText("note: ", .caution) + StyledText(sentence)
    if let live {
      // A terminal breaks it by itself.
      live.say([note])
    } else {
      terminal.print([note])
    }
  }

  /// As that of `LiveLines`; `nil` where nothing is rewritten.
  func interruption() -> Interruption? { live?.interruption() }

  /// Leaves the last text standing; what follows begins on a line of its own.
  func finish() { live?.finish() }
}

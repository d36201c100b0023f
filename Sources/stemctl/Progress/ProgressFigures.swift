import EditSettings
import Foundation
import VideoEditing

/// Where something stands that takes its time, as far as it is known, and how that is put on one
/// line, however narrow.
struct ProgressFigures: Sendable {
  var stage: String
  /// Steps of the stage that are done, of `steps`.
  var step: Int
  var steps: Int
  /// Of the clip; 0 where unknown.
  var frames = 0
  /// How much of the whole is done, 0 to 1.
  var share: Double?
  /// As it was at `read`.
  var secondsLeft: Double?
  var read = ContinuousClock.now

  init(
    stage: String, step: Int, steps: Int, frames: Int = 0, share: Double? = nil,
    secondsLeft: Double? = nil
  ) {
    (self.stage, self.step, self.steps, self.frames) = (stage, step, steps, frames)
    // What comes over a socket may be anything.
    self.share = share.flatMap { $0.isFinite ? min(max($0, 0), 1) : nil }
    self.secondsLeft = secondsLeft.flatMap { $0.isFinite && $0 >= 0 ? $0 : nil }
  }

  init(_ progress: EditProgress) {
    self.init(
      stage: progress.stage.rawValue.split(separator: "-").joined(separator: " "),
      step: progress.step, steps: progress.steps, frames: progress.frames,
      share: progress.share ?? (progress.stage == .load ? 0 : nil),
      secondsLeft: progress.secondsLeft)
  }

  /// - Parameter elapsed: seconds since the beginning.
  init(_ progress: VideoGeneration.Progress, elapsed: Double) {
    self.init(
      stage: progress.stage.rawValue, step: progress.step, steps: progress.steps,
      share: progress.share,
      secondsLeft: progress.share > 0 ? elapsed * (1 - progress.share) / progress.share : nil)
  }

  /// Which of the figures a line has, the longest first.
  private struct Form {
    var bar = false
    var frames = false
    var time = Time.none

    enum Time { case words, clock, none }
  }

  private static let forms = [
    Form(bar: true, frames: true, time: .words), Form(bar: true, time: .words),
    Form(bar: true, time: .clock), Form(time: .clock), Form(),
  ]

  /// The figures in so many columns: bar and percentage of the whole, stage and step, frames, time
  /// left; of a narrow line, the more important ones.
  func line(columns: Int, now: ContinuousClock.Instant = .now) -> StyledText {
    let form = Self.forms.first { width(of: $0, columns: columns) <= columns } ?? Form()
    var head: StyledText = ""
    if let share {
      if form.bar { head = progressBar(share, columns: Self.barWidth(in: columns)) + " " }
      head += StyledText(percentage(share)).padded(to: 4, onTheLeft: true) + "  "
    }
    var parts = [stageText]
    if form.frames, frames > 0 { parts.append(frames == 1 ? "1 frame" : "\(frames) frames") }
    if let left = secondsLeft.map({ max(0, $0 - (now - read) / .seconds(1)) }) {
      switch form.time {
      case .words: parts.append("\(durationText(seconds: left)) left")
      case .clock: parts.append("\(clockText(seconds: left)) left")
      case .none: break
      }
    }
    return (head + StyledText(parts.joined(separator: " · "))).cut(to: columns)
  }

  var stageText: String { steps > 1 ? "\(stage) \(step)/\(steps)" : stage }

  /// At most, so that no line jumps from one form to another while its numbers grow.
  private func width(of form: Form, columns: Int) -> Int {
    var width = steps > 1 ? stage.displayWidth + 2 + 2 * "\(steps)".count : stage.displayWidth
    if share != nil { width += 6 + (form.bar ? Self.barWidth(in: columns) + 1 : 0) }
    if form.frames, frames > 0 { width += " ·  frames".count + "\(frames)".count }
    switch form.time {
    case .words: width += " · 59 min 59 s left".count
    case .clock: width += " · 23:59:59 left".count
    case .none: break
    }
    return width
  }

  private static func barWidth(in columns: Int) -> Int { min(max(columns / 4, 10), 30) }
}

/// A part of a whole, 0 to 1; full only at its end.
func progressBar(_ share: Double, columns: Int) -> StyledText {
  let filled = min(max(Int(share * Double(columns)), 0), columns)
  return StyledText(String(repeating: "█", count: filled), .active)
    + StyledText(String(repeating: "░", count: columns - filled), .faint)
}

/// Of a share from 0 to 1; 100 only at the end.
func percentage(_ share: Double) -> String { "\(Int(share * 100))%" }

/// The greatest unit of a time: `45 s`, `7 min`, `2 h`, `3 d`.
func roughText(seconds: Double) -> String {
  durationText(seconds: seconds).split(separator: " ").prefix(2).joined(separator: " ")
}

/// `0:45`, `1:20`, `2:05:09`; from a day on as `durationText`.
func clockText(seconds: Double) -> String {
  guard seconds.isFinite, seconds < 86400 else { return durationText(seconds: seconds) }
  let seconds = Int(max(seconds, 0).rounded())
  let (hours, minutes) = (seconds / 3600, seconds / 60 % 60)
  return hours > 0
    ? String(format: "%d:%02d:%02d", hours, minutes, seconds % 60)
    : String(format: "%d:%02d", minutes, seconds % 60)
}

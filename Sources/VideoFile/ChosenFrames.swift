/// Which frames of a file become a clip's: from a time on, every n-th, and so many.
struct ChosenFrames {
  /// Seconds from the file's first frame.
  let start: Double
  let every: Int
  /// `nil` for all.
  let count: Int?
  /// How many were chosen so far.
  private(set) var chosen = 0
  /// Frames since the start.
  private var seen = 0

  /// A time that is written with three decimals names its frame.
  private static let tolerance = 0.0005

  init(start: Double, every: Int, count: Int?) {
    (self.start, self.every, self.count) = (start, every, count)
  }

  enum Choice {
    /// It comes before the start.
    case before
    case chosen
    /// It is passed over, and the frame before it is shown for longer.
    case passed
    /// It would be chosen if there were not enough of them: the last one is shown until here.
    case end
  }

  /// - Parameter seconds: when the next frame is shown, from the file's first frame.
  mutating func choose(_ seconds: Double) -> Choice {
    guard seconds >= start - Self.tolerance else { return .before }
    defer { seen += 1 }
    guard seen % every == 0 else { return .passed }
    guard chosen != count else { return .end }
    chosen += 1
    return .chosen
  }

  /// Whether nothing more needs to be read. Where frames are passed over, the time of the one after
  /// them says how long the last one is shown.
  var isComplete: Bool { chosen == count && every == 1 }
}

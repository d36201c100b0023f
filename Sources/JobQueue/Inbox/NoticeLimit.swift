/// Lets a folder full of odd files into the log, but not fill it: a hundred notices a minute, then
/// their number.
struct NoticeLimit {
  static let most = 100
  static let period = Duration.seconds(60)

  private var end: ContinuousClock.Instant?
  private var count = 0
  private var leftOut = 0
  private var hasTold = false

  /// When the number of those left out is to be told; `nil` while there are none.
  var nextSummary: ContinuousClock.Instant? { leftOut > 0 ? end : nil }

  /// Whether one more may be written now.
  mutating func allows(at now: ContinuousClock.Instant) -> Bool {
    if end.map({ now >= $0 }) ?? true {
      end = now + Self.period
      (count, hasTold) = (0, false)
    }
    count += 1
    if count > Self.most { leftOut += 1 }
    return count <= Self.most
  }

  /// How many were left out, when that is to be told: soon after the first, and once the minute is
  /// over for those that followed.
  mutating func summary(at now: ContinuousClock.Instant) -> Int? {
    guard leftOut > 0, let end, !hasTold || now >= end else { return nil }
    defer { (leftOut, hasTold) = (0, true) }
    return leftOut
  }
}

/// Picks the lines worth printing where lines cannot be rewritten: whatever is news, and from time
/// to time how far it has come.
struct LineThrottle<Subject: Hashable> {
  private var last: [Subject: (milestone: String, time: SuspendingClock.Instant)] = [:]

  /// - Parameter milestone: What of a line is news whenever it differs.
  mutating func passes(_ subject: Subject, milestone: String, at time: SuspendingClock.Instant)
    -> Bool
  {
    if let last = last[subject], last.milestone == milestone, time - last.time < .seconds(5) {
      return false
    }
    last[subject] = (milestone, time)
    return true
  }
}

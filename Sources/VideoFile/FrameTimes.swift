/// Turns the presentation times a file claims into ones that start at 0 and increase: strangers'
/// files leave them out, repeat them, jump back where recordings were joined, or jump ahead by
/// centuries.
struct FrameTimes {
  let timeBase: Rational
  let frameRate: Rational
  /// What is added to the file's times; set by the first frame, and again at each jump.
  private var offset: Int64?
  private var last: Int64?
  /// The last time taken from the file, and how many frames have followed without one: filling from
  /// here does not drift.
  private var anchor: Int64 = 0
  private var filled: Int64 = 0

  init(timeBase: Rational, frameRate: Rational) {
    self.timeBase = timeBase
    self.frameRate = frameRate
  }

  /// A frame's nominal duration in ticks.
  var nominalDuration: Int64 { max(1, ticks(frames: 1)) }

  /// The time of the next frame, where the file says `claimed`; `nil` where it says nothing.
  mutating func next(_ claimed: Int64?) -> Int64 {
    guard let last else {
      if let claimed { offset = 0 &- claimed }
      self.last = 0
      return 0
    }
    let expected = max(last + 1, anchor + ticks(frames: filled + 1))
    guard let claimed else { return fill(expected) }
    let known = offset ?? (expected &- claimed)
    let (time, overflow) = claimed.addingReportingOverflow(known)
    let distance = Double(time) - Double(last)
    if overflow || distance < -jumpBack || distance > jumpAhead || time > Self.latest {
      offset = expected &- claimed
      return take(expected)
    }
    offset = known
    return take(max(time, last + 1))
  }

  private mutating func fill(_ time: Int64) -> Int64 {
    filled += 1
    last = time
    return time
  }

  private mutating func take(_ time: Int64) -> Int64 {
    filled = 0
    anchor = time
    last = time
    return time
  }

  /// Steps back by less than a second are a frame out of place, and steps ahead by less than a day
  /// a pause: both are kept to.
  private var jumpBack: Double { 1 / timeBase.value }
  private var jumpAhead: Double { 86_400 / timeBase.value }

  /// Far enough from `Int64.max` that no later addition overflows.
  private static let latest: Int64 = 1 << 52

  private func ticks(frames: Int64) -> Int64 {
    Int64((Double(frames) / frameRate.value / timeBase.value).rounded())
  }
}

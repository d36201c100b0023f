extension EditProgress {
  /// `text` without the time left.
  public var placeText: String {
    var place = self
    place.secondsLeft = nil
    return place.text
  }

  /// `invert 12/50 · 16 frames · 1 min 20 s left`, for people.
  public var text: String {
    var parts = [stage.rawValue.split(separator: "-").joined(separator: " ")]
    if steps > 1 { parts[0] += " \(step)/\(steps)" }
    if frames > 0 { parts.append(frames == 1 ? "1 frame" : "\(frames) frames") }
    if let secondsLeft, secondsLeft.isFinite, secondsLeft >= 0 {
      parts.append("\(durationText(seconds: secondsLeft)) left")
    }
    return parts.joined(separator: " · ")
  }
}

/// `45 s`, `1 min 20 s`, `2 h 5 min`, `3 d 1 h`: the two greatest units of a time, rounded to the
/// second.
public func durationText(seconds: Double) -> String {
  guard seconds.isFinite else { return "?" }
  let seconds = Int(min(max(seconds, 0), 1e9).rounded())
  let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400)
  func two(_ great: Int, _ unit: String, _ small: Int, _ smallUnit: String) -> String {
    small == 0 ? "\(great) \(unit)" : "\(great) \(unit) \(small) \(smallUnit)"
  }
  if days > 0 { return two(days, "d", hours % 24, "h") }
  if hours > 0 { return two(hours, "h", minutes % 60, "min") }
  if minutes > 0 { return two(minutes, "min", seconds % 60, "s") }
  return "\(seconds) s"
}

import Foundation

/// Makes job ids: 13 digits of Crockford's base 32, milliseconds first, then random bits. Each is
/// greater than the one before, also within a millisecond and when the clock is set back, so that
/// the order of ids is the order of acceptance.
struct JobIDGenerator {
  private var last: UInt64

  private static let digits = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)
  private static let randomBits: UInt64 = 20
  private static let length = 13

  /// - Parameter newest: the greatest id handed out before, if any.
  init(after newest: JobID?) {
    last = newest.flatMap { Self.number($0.rawValue) } ?? 0
  }

  mutating func next(now: Date = Date()) -> JobID {
    let milliseconds = UInt64(max(0, now.timeIntervalSince1970) * 1000) & (1 << 43 - 1)
    let fresh = milliseconds << Self.randomBits | UInt64.random(in: 0..<(1 << Self.randomBits))
    last = fresh > last ? fresh : last + UInt64.random(in: 1...64)
    return JobID(rawValue: Self.text(last))
  }

  private static func text(_ number: UInt64) -> String {
    let shifts = stride(from: (length - 1) * 5, through: 0, by: -5)
    return String(decoding: shifts.map { digits[Int(number >> UInt64($0) & 31)] }, as: UTF8.self)
  }

  private static func number(_ text: String) -> UInt64? {
    guard text.utf8.count == length else { return nil }
    var number: UInt64 = 0
    for byte in text.utf8 {
      guard let digit = digits.firstIndex(of: byte) else { return nil }
      number = number << 5 | UInt64(digit)
    }
    return number
  }
}

/// A fraction, as containers write time bases, frame rates and aspect ratios.
public struct Rational: Sendable, Codable, Equatable, CustomStringConvertible {
  public var numerator: Int32
  public var denominator: Int32

  public init(_ numerator: Int32, _ denominator: Int32) {
    self.numerator = numerator
    self.denominator = denominator
  }

  /// NaN or infinite where the denominator is 0.
  public var value: Double { Double(numerator) / Double(denominator) }

  public var description: String { "\(numerator)/\(denominator)" }

  var isPositive: Bool { numerator > 0 && denominator > 0 }
}

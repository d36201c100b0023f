/// The size that a clip is edited at, as it is asked for.
public enum WorkingSize: Codable, Sendable, Equatable, LosslessStringConvertible {
  case exactly(FrameSize)
  /// The shorter side, in pixels; the other one keeps the clip's shape.
  case shorterSide(Int)

  /// `WIDTHxHEIGHT`, or one number.
  public init?(_ description: String) {
    if let size = FrameSize(description) {
      self = .exactly(size)
    } else if let side = Int(description), side > 0 {
      self = .shorterSide(side)
    } else {
      return nil
    }
  }

  public var description: String {
    switch self {
    case .exactly(let size): size.description
    case .shorterSide(let side): "\(side)"
    }
  }

  /// The sides that are asked for.
  public var sides: [Int] {
    switch self {
    case .exactly(let size): [size.width, size.height]
    case .shorterSide(let side): [side]
    }
  }

  /// Whether there can be such a size: every model's sides are multiples of 8.
  public var isPossible: Bool { sides.allSatisfy { (8...8192).contains($0) && $0 % 8 == 0 } }

  /// Completes the sentence "'size' takes …".
  public static let takes =
    "WIDTHxHEIGHT in pixels, such as 512x320, or the shorter side alone, such as 512; multiples of 8 from 8 to 8192"
}

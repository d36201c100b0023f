import EditSettings
import Tensor

extension PrecisionSetting {
  /// The precision that this asks for on this machine.
  /// - Parameter note: told in a sentence where it cannot be the one that was asked for.
  public func resolved(note: (String) -> Void) -> Precision {
    switch self {
    case .auto: return .automatic
    case .full: return .full
    case .mixed:
      if Precision.isMixedSupported { return .mixed }
      note("computes in full precision, for this machine's processor does not support mixed")
      return .full
    }
  }

  public init(_ precision: Precision) {
    switch precision {
    case .full: self = .full
    case .mixed: self = .mixed
    }
  }
}

import COneDNN

/// In what the products of a model's matrices are computed.
public enum Precision: String, Sendable, Hashable, CaseIterable {
  /// 32-bit floats throughout.
  case full
  /// Matrix products of 16-bit brain floats (bf16) summed in 32 bits; convolutions, normalisation,
  /// softmax and everything in between in 32 bits.
  case mixed

  /// Whether this processor multiplies bf16; elsewhere converting to it would cost accuracy and
  /// time.
  public static let isMixedSupported: Bool = {
    let needed = dnnl_cpu_isa_avx512_core_bf16.rawValue
    return dnnl_get_effective_cpu_isa().rawValue & needed == needed
  }()

  /// What is fastest here.
  public static var automatic: Precision { isMixedSupported ? .mixed : .full }
}

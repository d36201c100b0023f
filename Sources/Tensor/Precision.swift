/// In what the products of a model's matrices are computed.
public enum Precision: String, Sendable, Hashable, CaseIterable {
  /// 32-bit floats throughout.
  case full
  /// Matrix products of 16-bit brain floats (bf16) summed in 32 bits; convolutions, normalisation,
  /// softmax and everything in between in 32 bits.
  case mixed

  /// Whether this processor multiplies bf16; elsewhere converting to it would cost accuracy and
  /// time.
  public static var isMixedSupported: Bool { Processor.hasBFloat16 }

  /// What is fastest here.
  public static var automatic: Precision { isMixedSupported ? .mixed : .full }
}

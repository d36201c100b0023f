/// The named tensors of a model's component, whatever files they lie in and however these name
/// them: what `Weights` reads.
public protocol TensorSource: Sendable {
  /// Where they lie, for messages.
  var place: String { get }

  /// What a tensor is called where it lies, for messages.
  func storedName(of name: String) -> String

  /// `nil` where there is no such tensor.
  func shape(of name: String) -> [Int]?

  /// The tensor as 32-bit floats: a view of a mapped file where it holds such, else a converted copy.
  ///
  /// - Throws: `WeightsError`, where there is no such tensor or it holds no numbers.
  func tensor(_ name: String) throws -> Tensor

  /// Whether `tensor` gives a view of a mapped file.
  func isMapped(_ name: String) -> Bool

  /// Whether the tensor is this process's own, which nobody shares.
  func isPrivate(_ name: String) -> Bool

  /// Gives the pages of a tensor's file back to the system, which reads them again should they be
  /// needed.
  func forget(_ name: String)

  /// - Throws: `WeightsError` where a tensor does not hold what weights are made of.
  func requireFloats(_ name: String) throws

  /// Feeds what tells these tensors from others to a hash, without reading all of them.
  func feedSample(to hash: ContentHash)
}

extension TensorSource {
  public func isPrivate(_ name: String) -> Bool { false }
}

extension SafetensorsFile: TensorSource {
  public var place: String { url.path(percentEncoded: false) }

  public func storedName(of name: String) -> String { name }
}

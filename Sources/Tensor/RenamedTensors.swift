/// Tensors of a source under other names, where its own are those of another library: views, not
/// copies.
public struct RenamedTensors: TensorSource {
  /// Where a tensor is found in the source.
  public struct Origin: Sendable {
    public var name: String
    /// One of several equal parts of the first dimension, such as the queries' rows of a matrix that
    /// makes queries, keys and values.
    public var part: (index: Int, count: Int)?
    /// Whether the source may hold a matrix as a 1×1 convolution, (outputs, inputs, 1, 1).
    public var isMatrix: Bool

    public init(_ name: String, part: (index: Int, count: Int)? = nil, isMatrix: Bool = false) {
      (self.name, self.part, self.isMatrix) = (name, part, isMatrix)
    }
  }

  private let source: any TensorSource
  private let origin: @Sendable (String) -> Origin

  /// - Parameter origin: of the tensor that has a name here; it need not exist in the source.
  public init(_ source: any TensorSource, origin: @escaping @Sendable (String) -> Origin) {
    (self.source, self.origin) = (source, origin)
  }

  public var place: String { source.place }

  public func storedName(of name: String) -> String { source.storedName(of: origin(name).name) }

  public func shape(of name: String) -> [Int]? {
    let origin = origin(name)
    guard var shape = source.shape(of: origin.name) else { return nil }
    if let part = origin.part {
      guard let rows = shape.first, rows % part.count == 0 else { return nil }
      shape[0] = rows / part.count
    }
    if origin.isMatrix, shape.count == 4, shape[2...] == [1, 1] { shape.removeLast(2) }
    return shape
  }

  public func tensor(_ name: String) throws -> Tensor {
    let origin = origin(name)
    guard let shape = shape(of: name) else {
      throw WeightsError("\(place) has no tensor '\(storedName(of: name))'")
    }
    let whole = try source.tensor(origin.name)
    guard let part = origin.part else { return whole.reshaped(shape) }
    return whole.rows(part.index * shape[0]..<(part.index + 1) * shape[0]).reshaped(shape)
  }

  public func isMapped(_ name: String) -> Bool { source.isMapped(origin(name).name) }

  public func forget(_ name: String) { source.forget(origin(name).name) }

  public func requireFloats(_ name: String) throws { try source.requireFloats(origin(name).name) }

  public func feedSample(to hash: ContentHash) { source.feedSample(to: hash) }
}

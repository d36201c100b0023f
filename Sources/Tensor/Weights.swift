import Foundation

/// The tensors of one component of a model, addressed by their path as PyTorch's modules are:
/// `weights["down_blocks.0"]["resnets.1"]`.
public struct Weights {
  /// In what the component's products are to be computed.
  public let precision: Precision
  private let source: any TensorSource
  private let prefix: String
  private let store: (any PreparedWeightsStore)?

  /// - Parameter store: keeps prepared weights; without one, they are made when first needed.
  public init(
    _ source: any TensorSource, precision: Precision = .full,
    store: (any PreparedWeightsStore)? = nil
  ) {
    self.init(source, precision, store, prefix: "")
  }

  private init(
    _ source: any TensorSource, _ precision: Precision, _ store: (any PreparedWeightsStore)?,
    prefix: String
  ) {
    (self.source, self.precision, self.store, self.prefix) = (source, precision, store, prefix)
  }

  /// The weights below `path`.
  public subscript(path: String) -> Weights {
    Weights(source, precision, store, prefix: prefix + path + ".")
  }

  /// Which file and which part of it, for messages.
  public var place: String { "\(source.place), '\(prefix.dropLast())'" }

  public func has(_ name: String) -> Bool { source.shape(of: prefix + name) != nil }

  /// - Throws: `WeightsError` naming the file and the tensor, where it is missing or has another
  ///   shape.
  public func tensor(_ name: String, shape: [Int]) throws -> Tensor {
    let path = try checked(name, shape: shape)
    try source.requireFloats(path)
    // A large tensor of 16 bits is worth keeping in 32; the file's own 32 bits are shared as they
    // are.
    guard let store = store(for: path), !source.isMapped(path), shape.reduce(1, *) >= 1 << 16 else {
      return try source.tensor(path)
    }
    // What was prepared is not read again.
    defer { source.forget(path) }
    return try store.prepared("\(path) plain", shape: shape) { try source.tensor(path) }
  }

  /// A tensor in the form that a kernel reads.
  ///
  /// - Parameters:
  ///   - shape: of the plain tensor.
  ///   - form: tells the forms of a tensor apart.
  ///   - prepare: makes the form from the plain tensor.
  /// - Throws: as `tensor`.
  public func prepared(
    _ name: String, shape: [Int], form: String, preparedShape: [Int],
    _ prepare: @Sendable @escaping (Tensor) -> Tensor
  ) throws -> PreparedWeights {
    let path = try checked(name, shape: shape)
    try source.requireFloats(path)
    // Once it is prepared, the plain form is not read again.
    if let store = store(for: path) {
      // Not before the store has it: the prepared form may be the plain one.
      defer { source.forget(path) }
      return PreparedWeights(
        ready: try store.prepared("\(path) \(form)", shape: preparedShape) {
          prepare(try source.tensor(path))
        })
    }
    return PreparedWeights { [source] in
      defer { source.forget(path) }
      guard let plain = try? source.tensor(path) else {
        preconditionFailure("'\(path)' was there when the model was opened")
      }
      return prepare(plain)
    }
  }

  private func store(for path: String) -> (any PreparedWeightsStore)? {
    source.isPrivate(path) ? nil : store
  }

  /// The path in the file, where there is a tensor of that shape.
  private func checked(_ name: String, shape: [Int]) throws -> String {
    let path = prefix + name
    guard let found = source.shape(of: path) else {
      throw WeightsError(
        "\(source.place) has no tensor '\(source.storedName(of: path))' (of shape \(shape))")
    }
    guard found == shape else {
      throw WeightsError(
        "\(source.place): tensor '\(source.storedName(of: path))' has the shape \(found), but the model's config asks for \(shape)"
      )
    }
    return path
  }
}

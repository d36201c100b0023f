import Synchronization

/// What is added to a tensor of weights: scale · up · down.
public struct LowRankTerm: Sendable {
  /// (outputs, rank) and (rank, inputs); of 3×3 convolutions the inputs are (inputs, 3, 3).
  public let up, down: Tensor
  public let scale: Float

  public init(up: Tensor, down: Tensor, scale: Float) {
    (self.up, self.down, self.scale) = (up, down, scale)
  }

  /// - Parameter weight: (outputs, inputs, …).
  func fits(_ weight: [Int]) -> Bool {
    weight.count >= 2 && up.shape.count >= 2 && down.shape.count >= 2
      && up.shape[0] == weight[0] && up.count == up.shape[0] * down.shape[0]
      && down.count == down.shape[0] * weight[1...].reduce(1, *)
  }

  func add(to weight: inout Tensor) {
    let rank = down.shape[0]
    let product = up.reshaped([up.shape[0], rank]).matrixProduct(
      down.reshaped([rank, down.count / rank]))
    weight.add(product.reshaped(weight.shape) * scale)
  }
}

/// Another source's tensors with low-rank terms added to some: those are this process's own copies,
/// all others are still the source's.
public final class LowRankTensors: TensorSource {
  private let source: any TensorSource
  private let terms: [String: [LowRankTerm]]
  private let asked = Mutex<Set<String>>([])

  /// - Parameter terms: by the path of the layer whose `weight` they change, with `_` for each dot.
  public init(_ source: any TensorSource, adding terms: [String: [LowRankTerm]]) {
    (self.source, self.terms) = (source, terms)
  }

  /// Layers with terms that nobody has asked for, sorted.
  public var unused: [String] {
    asked.withLock { asked in terms.keys.filter { !asked.contains($0) }.sorted() }
  }

  public var place: String { source.place }

  public func storedName(of name: String) -> String { source.storedName(of: name) }

  public func shape(of name: String) -> [Int]? { source.shape(of: name) }

  public func tensor(_ name: String) throws -> Tensor {
    let tensor = try source.tensor(name)
    let terms = try checkedTerms(of: name)
    guard !terms.isEmpty else { return tensor }
    var changed = tensor.copied()
    for term in terms { term.add(to: &changed) }
    return changed
  }

  public func isMapped(_ name: String) -> Bool { !isPrivate(name) && source.isMapped(name) }

  public func isPrivate(_ name: String) -> Bool { !terms(of: name).isEmpty }

  public func forget(_ name: String) { source.forget(name) }

  public func requireFloats(_ name: String) throws {
    try source.requireFloats(name)
    _ = try checkedTerms(of: name)
  }

  public func feedSample(to hash: ContentHash) { source.feedSample(to: hash) }

  private func checkedTerms(of name: String) throws -> [LowRankTerm] {
    let terms = terms(of: name)
    guard let shape = source.shape(of: name) else { return terms }
    if let wrong = terms.first(where: { !$0.fits(shape) }) {
      throw WeightsError(
        "a LoRA changes '\(name)' of \(place), which has the shape \(shape), by \(wrong.up.shape) times \(wrong.down.shape): it was made for another model"
      )
    }
    return terms
  }

  private func terms(of name: String) -> [LowRankTerm] {
    guard name.hasSuffix(".weight") else { return [] }
    let layer = String(name.dropLast(".weight".count)).replacing(".", with: "_")
    guard let found = terms[layer] else { return [] }
    asked.withLock { _ = $0.insert(layer) }
    return found
  }
}

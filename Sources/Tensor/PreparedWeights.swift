import Synchronization

/// Weights in the form that a kernel reads, made from the plain ones when they are first needed.
///
/// The form's bytes lie in a tensor whatever they are; only the kernel knows them.
public final class PreparedWeights: Sendable {
  private let state: Mutex<State>

  private enum State {
    case waiting(() -> Tensor)
    case ready(Tensor)
  }

  /// - Parameter make: called once, by whichever thread comes first.
  public init(_ make: sending @escaping () -> Tensor) { state = Mutex(.waiting(make)) }

  public init(ready values: Tensor) { state = Mutex(.ready(values)) }

  public var values: Tensor {
    state.withLock { state in
      switch state {
      case .ready(let values): return values
      case .waiting(let make):
        let values = make()
        state = .ready(values)
        return values
      }
    }
  }
}

/// Keeps prepared weights where all processes of a machine can share them.
public protocol PreparedWeightsStore: AnyObject {
  /// The weights kept under a name, or those that `make` gives, which are kept from now on.
  ///
  /// - Parameters:
  ///   - name: the plain tensor's path and the form.
  ///   - shape: of the prepared weights as a tensor.
  func prepared(_ name: String, shape: [Int], make: () throws -> Tensor) throws -> Tensor
}

import COneDNN

/// The elementwise non-linearities of the models.
public enum Activation: Hashable, Sendable {
  /// x · sigmoid(x)
  case silu
  /// x · Φ(x), by the error function.
  case gelu
  /// x · sigmoid(1.702 x)
  case quickGELU

  /// Applies it in place to `count` elements; usable inside parallel loops.
  func apply(to values: UnsafeMutablePointer<Float>, count: Int) {
    guard count > 0 else { return }
    let primitive = OneDNN.primitive(.activation(self, count: count)) {
      var vector = OneDNN.memory([count])
      var operation = dnnl_eltwise_desc_t()
      let (algorithm, alpha): (dnnl_alg_kind_t, Float) =
        switch self {
        case .silu: (dnnl_eltwise_swish, 1)
        case .gelu: (dnnl_eltwise_gelu_erf, 0)
        case .quickGELU: (dnnl_eltwise_swish, 1.702)
        }
      OneDNN.check(
        dnnl_eltwise_forward_desc_init(
          &operation, dnnl_forward_inference, algorithm, &vector, alpha, 0),
        "describe an activation")
      return OneDNNPrimitive(&operation, name: "activation")
    }
    primitive.run([
      (DNNL_ARG_SRC, UnsafeMutableRawPointer(values)),
      (DNNL_ARG_DST, UnsafeMutableRawPointer(values)),
    ])
  }
}

extension Tensor {
  public mutating func apply(_ activation: Activation) {
    let count = count
    withMutableValues { activation.apply(to: $0, count: count) }
  }

  public func applying(_ activation: Activation) -> Tensor {
    var result = self
    result.apply(activation)
    return result
  }
}

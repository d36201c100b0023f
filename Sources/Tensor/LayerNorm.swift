import COneDNN

/// Normalisation over the last dimension, with a learned scale and shift.
public struct LayerNorm: Sendable {
  private let weight, bias: Tensor
  private let epsilon: Float

  /// - Parameters: `weight` and `bias` of shape (channels).
  public init(weight: Tensor, bias: Tensor, epsilon: Float) {
    precondition(weight.count == bias.count, "scale and shift differ in size")
    (self.weight, self.bias, self.epsilon) = (weight, bias, epsilon)
  }

  public func callAsFunction(_ input: Tensor) -> Tensor {
    let (channels, epsilon) = (weight.count, epsilon)
    precondition(input.shape.last == channels, "\(input.shape) into a layer norm of \(channels)")
    let rows = input.count / channels
    var output = Tensor(uninitialized: input.shape)
    guard rows > 0 else { return output }
    let primitive = OneDNN.primitive(.layerNorm(rows: rows, channels: channels, epsilon: epsilon)) {
      var matrix = OneDNN.memory([rows, channels])
      var operation = dnnl_layer_normalization_desc_t()
      OneDNN.check(
        dnnl_layer_normalization_forward_desc_init(
          &operation, dnnl_forward_inference, &matrix, nil, epsilon,
          dnnl_use_scale.rawValue | dnnl_use_shift.rawValue),
        "describe a layer norm")
      return OneDNNPrimitive(&operation, name: "layer norm")
    }
    input.withValues { input in
      weight.withValues { weight in
        bias.withValues { bias in
          output.withMutableValues { output in
            primitive.run([
              (DNNL_ARG_SRC, input.forOneDNN), (DNNL_ARG_DST, UnsafeMutableRawPointer(output)),
              (DNNL_ARG_SCALE, weight.forOneDNN),
              (DNNL_ARG_SHIFT, bias.forOneDNN),
            ])
          }
        }
      }
    }
    return output
  }
}

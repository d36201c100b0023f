import COneDNN

/// A fully connected layer: `y = x Wᵀ + b` over the last dimension.
public final class Linear: Sendable {
  public var inputs: Int { weight.shape[1] }
  public var outputs: Int { weight.shape[0] }

  public let weight: Tensor
  public let bias: Tensor?

  /// - Parameters:
  ///   - weight: (outputs, inputs), or a 1×1 convolution's (outputs, inputs, 1, 1), which is the
  ///     same on channels-last pictures.
  ///   - bias: (outputs).
  public init(weight: Tensor, bias: Tensor?) {
    precondition(weight.count == weight.shape[0] * weight.shape[1], "\(weight.shape) is no matrix")
    self.weight = weight.reshaped([weight.shape[0], weight.shape[1]])
    self.bias = bias
  }

  /// - Parameter input: (…, inputs).
  /// - Returns: (…, outputs).
  public func callAsFunction(_ input: Tensor) -> Tensor {
    precondition(
      input.shape.last == inputs, "\(input.shape) into a linear layer of \(weight.shape)")
    let rows = input.count / inputs
    var output = Tensor(uninitialized: input.shape.dropLast() + [outputs])
    guard rows > 0 else { return output }
    let primitive = OneDNN.primitive(
      .linear(rows: rows, inputs: inputs, outputs: outputs, bias: bias != nil)
    ) {
      var source = OneDNN.memory([rows, inputs])
      var weights = OneDNN.memory([inputs, outputs], strides: [1, inputs])
      var biases = OneDNN.memory([1, outputs])
      var target = OneDNN.memory([rows, outputs])
      var operation = dnnl_matmul_desc_t()
      let status = withUnsafeMutablePointer(to: &biases) {
        dnnl_matmul_desc_init(&operation, &source, &weights, bias == nil ? nil : $0, &target)
      }
      OneDNN.check(status, "describe a linear layer of \(weight.shape)")
      return OneDNNPrimitive(&operation, name: "linear layer of \(weight.shape)")
    }
    input.withValues { input in
      weight.withValues { weight in
        output.withMutableValues { output in
          var arguments: [OneDNNPrimitive.Argument] = [
            (DNNL_ARG_SRC, input.forOneDNN), (DNNL_ARG_WEIGHTS, weight.forOneDNN),
            (DNNL_ARG_DST, UnsafeMutableRawPointer(output)),
          ]
          if let bias {
            bias.withValues { bias in
              arguments.append((DNNL_ARG_BIAS, bias.forOneDNN))
              primitive.run(arguments)
            }
          } else {
            primitive.run(arguments)
          }
        }
      }
    }
    return output
  }
}

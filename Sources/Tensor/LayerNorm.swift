import CKernels

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
    let channels = weight.count
    precondition(input.shape.last == channels, "\(input.shape) into a layer norm of \(channels)")
    var output = Tensor(uninitialized: input.shape)
    let rows = input.count / channels
    input.withValues { input in
      output.withMutableValues { output in
        let (input, output) = (Shared(input), Shared(output))
        Parallel.ranges(of: rows, atLeast: max(1, 16384 / channels)) { range in
          apply(
            to: input.pointer + range.lowerBound * channels, rows: range.count,
            into: output.pointer + range.lowerBound * channels)
        }
      }
    }
    return output
  }

  /// Rows of channels; usable inside parallel loops.
  func apply(
    to input: UnsafePointer<Float>, rows: Int, into output: UnsafeMutablePointer<Float>
  ) {
    weight.withValues { weight in
      bias.withValues { bias in
        kernels_layer_norm(input, output, rows, self.weight.count, weight, bias, epsilon)
      }
    }
  }
}

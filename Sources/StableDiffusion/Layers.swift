import Tensor

// Layers as PyTorch names their tensors: below a path, `weight` and `bias`.

extension Weights {
  func linear(_ path: String, _ inputs: Int, _ outputs: Int, bias: Bool = true) throws -> Linear {
    try Linear(
      weight: self[path].tensor("weight", shape: [outputs, inputs]),
      bias: bias ? self[path].tensor("bias", shape: [outputs]) : nil)
  }

  /// A 1×1 convolution, which on channels-last pictures is a linear layer.
  func pointwise(_ path: String, _ inputs: Int, _ outputs: Int) throws -> Linear {
    try Linear(
      weight: self[path].tensor("weight", shape: [outputs, inputs, 1, 1]),
      bias: self[path].tensor("bias", shape: [outputs]))
  }

  func convolution(
    _ path: String, _ inputs: Int, _ outputs: Int, stride: Int = 1,
    padding: Convolution.Padding = .all(1)
  ) throws -> Convolution {
    try Convolution(
      weight: self[path].tensor("weight", shape: [outputs, inputs, 3, 3]),
      bias: self[path].tensor("bias", shape: [outputs]), stride: stride,
      padding: padding)
  }

  func groupNorm(_ path: String, _ channels: Int, groups: Int, epsilon: Double) throws -> GroupNorm
  {
    guard channels % groups == 0 else {
      throw ModelError(
        "\(place): 'norm_num_groups' is \(groups), which does not divide the \(channels) channels of '\(path)'"
      )
    }
    return try GroupNorm(
      weight: self[path].tensor("weight", shape: [channels]),
      bias: self[path].tensor("bias", shape: [channels]), groups: groups,
      epsilon: Float(epsilon))
  }

  func layerNorm(_ path: String, _ channels: Int, epsilon: Double = 1e-5) throws -> LayerNorm {
    try LayerNorm(
      weight: self[path].tensor("weight", shape: [channels]),
      bias: self[path].tensor("bias", shape: [channels]), epsilon: Float(epsilon))
  }
}

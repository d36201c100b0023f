import Tensor

// Layers as PyTorch names their tensors: below a path, `weight` and `bias`.

extension Weights {
  func linear(_ path: String, _ inputs: Int, _ outputs: Int, bias: Bool = true) throws -> Linear {
    try linear(path, inputs, outputs, shape: [outputs, inputs], bias: bias)
  }

  /// A 1×1 convolution, which on channels-last pictures is a linear layer.
  func pointwise(_ path: String, _ inputs: Int, _ outputs: Int) throws -> Linear {
    try linear(path, inputs, outputs, shape: [outputs, inputs, 1, 1], bias: true)
  }

  private func linear(_ path: String, _ inputs: Int, _ outputs: Int, shape: [Int], bias: Bool)
    throws -> Linear
  {
    let form = Linear.Form(inputs: inputs, outputs: outputs, precision: precision)
    return try Linear(
      form,
      weights: self[path].prepared(
        "weight", shape: shape, form: form.name, preparedShape: form.preparedShape, form.prepare),
      bias: bias ? self[path].tensor("bias", shape: [outputs]) : nil)
  }

  func convolution(
    _ path: String, _ inputs: Int, _ outputs: Int, stride: Int = 1,
    padding: Convolution.Padding = .all(1)
  ) throws -> Convolution {
    let shape = [outputs, inputs, 3, 3]
    let form = Convolution.Form(shape: shape, stride: stride)
    return try Convolution(
      form,
      weights: self[path].prepared(
        "weight", shape: shape, form: form.name, preparedShape: form.preparedShape, form.prepare),
      bias: self[path].tensor("bias", shape: [outputs]), padding: padding)
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

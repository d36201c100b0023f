import Tensor

/// Two convolutions with group normalisation and SiLU, a time embedding between them, and a
/// shortcut around them (diffusers' ResnetBlock2D).
struct ResNetBlock {
  let norm1, norm2: GroupNorm
  let conv1, conv2: Convolution
  /// Absent in the autoencoder.
  let timeProjection: Linear?
  /// Absent where input and output have the same number of channels.
  let shortcut: Linear?

  init(
    _ weights: Weights, _ inputs: Int, _ outputs: Int, groups: Int, epsilon: Double,
    timeChannels: Int? = nil
  ) throws {
    norm1 = try weights.groupNorm("norm1", inputs, groups: groups, epsilon: epsilon)
    conv1 = try weights.convolution("conv1", inputs, outputs)
    timeProjection = try timeChannels.map { try weights.linear("time_emb_proj", $0, outputs) }
    norm2 = try weights.groupNorm("norm2", outputs, groups: groups, epsilon: epsilon)
    conv2 = try weights.convolution("conv2", outputs, outputs)
    shortcut = inputs == outputs ? nil : try weights.pointwise("conv_shortcut", inputs, outputs)
  }

  /// The autoencoder's use: no time, nothing plugged in.
  func callAsFunction(_ input: Tensor) -> Tensor {
    shortcut(
      around: conv2(norm2(conv1(norm1(input, activation: .silu)), activation: .silu)), input)
  }

  private func shortcut(around output: Tensor, _ input: Tensor) -> Tensor {
    shortcut?(input, addedTo: output) ?? output + input
  }

  /// - Parameter time: the activated time embedding, (1, time channels).
  func callAsFunction(
    _ input: Tensor, time: Tensor, processor: some UNetProcessor, at site: LayerSite
  ) throws -> Tensor {
    let hidden = conv1(
      try processor.groupNorm(norm1, input, activation: .silu, at: site),
      shift: timeProjection?(time))
    let output = conv2(try processor.groupNorm(norm2, hidden, activation: .silu, at: site))
    return shortcut(around: try processor.resnetHiddenState(output, at: site), input)
  }
}

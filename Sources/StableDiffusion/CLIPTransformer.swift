import Tensor

/// The layers that CLIP's encoders of texts and of pictures share.
struct CLIPTransformer: Sendable {
  /// The width of a hidden state.
  let width: Int
  let epsilon: Double

  private let heads: Int
  private let activation: Activation
  private let layers: [@Sendable () -> Layer]

  private struct Layer {
    let norm1, norm2: LayerNorm
    let queries, keys, values, output, up, down: Linear

    init(_ weights: Weights, width: Int, inner: Int, epsilon: Double) throws {
      norm1 = try weights.layerNorm("layer_norm1", width, epsilon: epsilon)
      norm2 = try weights.layerNorm("layer_norm2", width, epsilon: epsilon)
      queries = try weights.linear("self_attn.q_proj", width, width)
      keys = try weights.linear("self_attn.k_proj", width, width)
      values = try weights.linear("self_attn.v_proj", width, width)
      output = try weights.linear("self_attn.out_proj", width, width)
      up = try weights.linear("mlp.fc1", width, inner)
      down = try weights.linear("mlp.fc2", inner, width)
    }
  }

  init(
    _ configuration: ComponentConfiguration, _ source: any TensorSource,
    store: (any PreparedWeightsStore)?
  ) throws {
    let width = try configuration.size("hidden_size")
    heads = try configuration.size("num_attention_heads")
    guard width % heads == 0 else {
      throw configuration.wrong("num_attention_heads", "does not divide 'hidden_size', \(width)")
    }
    let inner = try configuration.size("intermediate_size")
    let epsilon = try configuration.number("layer_norm_eps", default: 1e-5)
    try configuration.require("hidden_act", oneOf: "quick_gelu", "gelu")
    activation =
      try configuration.text("hidden_act", default: "quick_gelu") == "gelu" ? .gelu : .quickGELU
    (self.width, self.epsilon) = (width, epsilon)
    let weights = Weights(source, store: store)
    layers = try (0..<configuration.size("num_hidden_layers")).map { index in
      @Sendable func layer(_ weights: Weights) throws -> Layer {
        try Layer(
          weights["encoder.layers.\(index)"], width: width, inner: inner, epsilon: epsilon)
      }
      let made = try layer(weights)
      if store != nil { return { made } }
      // Prompts are few. What is prepared for a layer in this process's own memory is not kept: of
      // all layers it would be a gibibyte.
      return {
        guard let layer = try? layer(Weights(source)) else {
          preconditionFailure("layer \(index) was there when the model was opened")
        }
        return layer
      }
    }
  }

  /// - Parameters:
  ///   - hidden: (batch, tokens, width).
  ///   - causal: whether a token sees only those before it.
  func callAsFunction(_ hidden: Tensor, causal: Bool) -> Tensor {
    var hidden = hidden
    for layer in layers {
      let layer = layer()
      let normed = layer.norm1(hidden)
      hidden.add(
        layer.output(
          .attention(
            queries: layer.queries(normed), keys: layer.keys(normed), values: layer.values(normed),
            heads: heads, causal: causal)))
      hidden.add(layer.down(layer.up(layer.norm2(hidden)).applying(activation)))
    }
    return hidden
  }
}

import Tensor

/// CLIP's text transformer: token ids to the hidden states that the UNet's cross-attention reads.
public final class CLIPTextEncoder: Sendable {
  /// The width of a hidden state.
  public let width: Int
  /// How many tokens it has positions for.
  public let positions: Int
  public let vocabularySize: Int

  private let tokenEmbedding, positionEmbedding: Tensor
  private let layers: [@Sendable () -> Layer]
  private let finalNorm: LayerNorm
  private let heads: Int

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

  private let activation: Activation

  init(_ component: ModelComponent, store: (any PreparedWeightsStore)?) throws {
    let configuration = component.configuration
    try configuration.require("model_type", oneOf: "clip_text_model", "clip")
    width = try configuration.size("hidden_size")
    positions = try configuration.size("max_position_embeddings")
    vocabularySize = try configuration.size("vocab_size")
    heads = try configuration.size("num_attention_heads")
    guard width % heads == 0 else {
      throw configuration.wrong("num_attention_heads", "does not divide 'hidden_size', \(width)")
    }
    let inner = try configuration.size("intermediate_size")
    let epsilon = try configuration.number("layer_norm_eps", default: 1e-5)
    try configuration.require("hidden_act", oneOf: "quick_gelu", "gelu")
    activation =
      try configuration.text("hidden_act", default: "quick_gelu") == "gelu" ? .gelu : .quickGELU
    let weights = Weights(component.weights, store: store)
    let width = width
    tokenEmbedding = try weights["embeddings.token_embedding"].tensor(
      "weight", shape: [vocabularySize, width])
    positionEmbedding = try weights["embeddings.position_embedding"].tensor(
      "weight", shape: [positions, width])
    let source = component.weights
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
    finalNorm = try weights.layerNorm("final_layer_norm", width, epsilon: epsilon)
  }

  /// - Parameter ids: one or more prompts' token ids, all of one length.
  /// - Returns: (prompts, tokens, width), after the final layer norm.
  public func callAsFunction(_ ids: [[Int]]) -> Tensor {
    let length = ids.first?.count ?? 0
    precondition(
      length <= positions && ids.allSatisfy { $0.count == length },
      "prompts of unequal or too many tokens")
    var hidden = tokenEmbedding.rows(ids.flatMap(\.self)).reshaped([ids.count, length, width])
    hidden.add(positionEmbedding.rows(0..<length))
    for layer in layers {
      let layer = layer()
      let normed = layer.norm1(hidden)
      hidden.add(
        layer.output(
          .attention(
            queries: layer.queries(normed), keys: layer.keys(normed), values: layer.values(normed),
            heads: heads, causal: true)))
      hidden.add(layer.down(layer.up(layer.norm2(hidden)).applying(activation)))
    }
    return finalNorm(hidden)
  }
}

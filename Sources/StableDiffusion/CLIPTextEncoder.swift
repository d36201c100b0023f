import Tensor

/// CLIP's text transformer: token ids to the hidden states that the UNet's cross-attention reads.
public final class CLIPTextEncoder: Sendable {
  /// The width of a hidden state.
  public var width: Int { transformer.width }
  /// How many tokens it has positions for.
  public let positions: Int
  public let vocabularySize: Int

  private let tokenEmbedding, positionEmbedding: Tensor
  private let transformer: CLIPTransformer
  private let finalNorm: LayerNorm

  init(_ component: ModelComponent, store: (any PreparedWeightsStore)?) throws {
    let configuration = component.configuration
    try configuration.require("model_type", oneOf: "clip_text_model", "clip")
    let width = try configuration.size("hidden_size")
    positions = try configuration.size("max_position_embeddings")
    vocabularySize = try configuration.size("vocab_size")
    let weights = Weights(component.weights, store: store)
    tokenEmbedding = try weights["embeddings.token_embedding"].tensor(
      "weight", shape: [vocabularySize, width])
    positionEmbedding = try weights["embeddings.position_embedding"].tensor(
      "weight", shape: [positions, width])
    transformer = try CLIPTransformer(configuration, component.weights, store: store)
    finalNorm = try weights.layerNorm("final_layer_norm", width, epsilon: transformer.epsilon)
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
    return finalNorm(transformer(hidden, causal: true))
  }
}

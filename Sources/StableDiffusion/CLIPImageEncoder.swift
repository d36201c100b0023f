import Tensor

/// CLIP's vision transformer with its way into the space that texts and pictures share
/// (transformers' CLIPVisionModelWithProjection).
public final class CLIPImageEncoder: Sendable {
  /// The width of an embedding.
  public let width: Int

  private let preprocessing: CLIPPreprocessing
  private let patch: Int
  private let classEmbedding, positionEmbedding: Tensor
  private let patchEmbedding: Linear
  private let firstNorm, lastNorm: LayerNorm
  private let transformer: CLIPTransformer
  private let projection: Linear

  /// - Parameter preprocessing: the values of a `preprocessor_config.json`; `nil` for CLIP's own.
  init(_ component: ModelComponent, preprocessing: ComponentConfiguration?) throws {
    let configuration = component.configuration
    try configuration.require("model_type", oneOf: "clip_vision_model", "clip")
    try configuration.require("num_channels", oneOf: "3")
    let hidden = try configuration.size("hidden_size")
    let (side, patch) = (
      try configuration.size("image_size", default: 224), try configuration.size("patch_size")
    )
    guard patch <= side else {
      throw configuration.wrong("patch_size", "is larger than 'image_size', \(side)")
    }
    width = try configuration.size("projection_dim")
    self.patch = patch
    self.preprocessing = try CLIPPreprocessing(preprocessing, side: side)
    let weights = Weights(component.weights)
    let embeddings = weights["embeddings"]
    classEmbedding = try embeddings.tensor("class_embedding", shape: [hidden])
    positionEmbedding = try embeddings.tensor(
      "position_embedding.weight", shape: [(side / patch) * (side / patch) + 1, hidden])
    let plain = try embeddings.tensor(
      "patch_embedding.weight", shape: [hidden, 3, patch, patch])
    patchEmbedding = Linear(weight: plain.reshaped([hidden, 3 * patch * patch]), bias: nil)
    transformer = try CLIPTransformer(configuration, component.weights, store: nil)
    // So it is spelled in the files.
    firstNorm = try weights.layerNorm("pre_layrnorm", hidden, epsilon: transformer.epsilon)
    lastNorm = try weights.layerNorm("post_layernorm", hidden, epsilon: transformer.epsilon)
    projection = try weights.linear("visual_projection", hidden, width, bias: false)
  }

  /// - Parameter pictures: (frames, height, width, 3) in [-1, 1], of any size.
  /// - Returns: (frames, `width`), not normalised.
  public func callAsFunction(_ pictures: Tensor) -> Tensor { embeddings(of: prepared(pictures)) }

  /// Scaled, cut and normalised pictures, (frames, side, side, 3).
  func prepared(_ pictures: Tensor) -> Tensor { preprocessing(pictures) }

  func embeddings(of prepared: Tensor) -> Tensor {
    let frames = prepared.shape[0]
    let patches = patchEmbedding(patches(of: prepared))
    let (n, hidden) = (patches.shape[1] + 1, transformer.width)
    var tokens = Tensor.concatenated(
      (0..<frames).flatMap { frame in
        [
          classEmbedding.reshaped([1, hidden]),
          patches.rows(frame..<frame + 1).reshaped([n - 1, hidden]),
        ]
      }
    ).reshaped([frames, n, hidden])
    tokens.add(positionEmbedding)
    let output = transformer(firstNorm(tokens), causal: false)
    let first = output.reshaped([frames, n * hidden]).channels(0..<hidden)
    return projection(lastNorm(first))
  }

  /// (frames, patches, 3 · patch · patch), in the order of a convolution's weights.
  private func patches(of pictures: Tensor) -> Tensor {
    let (frames, side) = (pictures.shape[0], pictures.shape[1])
    let (across, patch) = (side / patch, patch)
    let size = 3 * patch * patch
    var result = Tensor(repeating: 0, shape: [frames, across * across, size])
    pictures.withValues { pictures in
      result.withMutableValues { result in
        for index in 0..<frames * across * across {
          let (frame, place) = (index / (across * across), index % (across * across))
          let (top, left) = (place / across * patch, place % across * patch)
          for channel in 0..<3 {
            for y in 0..<patch {
              for x in 0..<patch {
                result[index * size + (channel * patch + y) * patch + x] =
                  pictures[((frame * side + top + y) * side + left + x) * 3 + channel]
              }
            }
          }
        }
      }
    }
    return result
  }
}

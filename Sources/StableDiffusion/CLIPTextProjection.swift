import Tensor

/// CLIP's text encoder with its way into the space that texts and pictures share (transformers'
/// CLIPTextModelWithProjection).
final class CLIPTextProjection: Sendable {
  let encoder: CLIPTextEncoder
  private let projection: Linear

  /// - Parameter projection: (embedding width, encoder width).
  init(_ component: ModelComponent, projection: Tensor) throws {
    encoder = try CLIPTextEncoder(component, store: nil)
    guard projection.shape.count == 2, projection.shape[1] == encoder.width else {
      throw WeightsError(
        "\(component.weights.place): tensor 'text_projection.weight' has the shape \(projection.shape), but the model's config asks for (any, \(encoder.width))"
      )
    }
    self.projection = Linear(weight: projection, bias: nil)
  }

  /// - Parameters:
  ///   - ids: one or more prompts' token ids, all of one length.
  ///   - end: the token at whose first place in a prompt stands what the whole of it means.
  /// - Returns: (prompts, embedding width), not normalised.
  func callAsFunction(_ ids: [[Int]], end: Int) -> Tensor {
    let hidden = encoder(ids)
    let length = hidden.shape[1]
    let ends = ids.enumerated().map { prompt, ids in
      prompt * length + (ids.firstIndex(of: end) ?? length - 1)
    }
    return projection(hidden.reshaped([ids.count * length, hidden.shape[2]]).rows(ends))
  }
}

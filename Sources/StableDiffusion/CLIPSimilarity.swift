import Tensor

/// What tells how near pictures and texts are to each other: where CLIP's encoders put them, near is
/// what has a similar direction.
public struct CLIPSimilarity: Sendable {
  public let pictures: CLIPImageEncoder
  private let texts: (projection: CLIPTextProjection, tokenizer: CLIPTokenizer)?

  init(
    pictures: CLIPImageEncoder, texts: CLIPTextProjection? = nil,
    tokenizer: (_ longest: Int) throws -> CLIPTokenizer
  ) throws {
    self.pictures = pictures
    self.texts = try texts.map { texts in
      let tokenizer = try tokenizer(texts.encoder.positions)
      guard tokenizer.vocabularySize <= texts.encoder.vocabularySize else {
        throw ModelError(
          "the tokenizer has \(tokenizer.vocabularySize) tokens, but the text encoder with projection only \(texts.encoder.vocabularySize)"
        )
      }
      return (texts, tokenizer)
    }
  }

  /// - Returns: (prompts, `pictures.width`), not normalised; `nil` where the model has no text encoder
  ///   into the pictures' space.
  public func embeddings(of prompts: [String]) -> Tensor? {
    texts.map { $0.projection(prompts.map($0.tokenizer.encode), end: $0.tokenizer.end) }
  }
}

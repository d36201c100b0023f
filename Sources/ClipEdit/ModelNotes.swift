import EditSettings
import StableDiffusion

/// What somebody should know who asks a model for something that it takes, but was not made for; in
/// sentences.
extension StableDiffusionModel {
  /// - Parameter prompts: by what they are called.
  func notes(on prompts: KeyValuePairs<String, String>) -> [String] {
    prompts.compactMap { name, prompt in
      tokenizer.cut(from: prompt).map { cut in
        "the \(name) has \(tokenizer.tokenCount(of: prompt)) tokens, of which this model reads the first \(tokenizer.capacity): it does not see '\(cut.count > 200 ? cut.prefix(200) + "…" : cut)' at the end"
      }
    }
  }

  /// Where a picture has four times the pixels or more, the model fills it with several; in less than
  /// a quarter it finds no room for what it knows.
  func note(onSize size: FrameSize) -> String? {
    let (pixels, own) = (size.width * size.height, nativeSize * nativeSize)
    guard pixels >= 4 * own || 4 * pixels < own else { return nil }
    return
      "works at \(size), but this model was made for about as many pixels as \(nativeSize)x\(nativeSize) has: expect odd shapes, or leave 'size' away"
  }
}

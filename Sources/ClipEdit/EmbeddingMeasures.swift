import EditSettings
import StableDiffusion
import Tensor
import VideoEditing

/// What CLIP says of an edit, gathered as the edited frames come: how alike consecutive frames are,
/// and how many of them are nearer to the prompt than to the source prompt.
struct EmbeddingMeasures {
  /// Of each frame but the first with the one before.
  private(set) var similarities: [(frame: Int, value: Double)] = []
  private var last: [Double]?
  private var frames = 0
  private var nearer = 0
  /// Of the prompt and of the source prompt.
  private let texts: [[Double]]?

  /// - Parameter texts: the embeddings of the prompt and of the source prompt, (2, width); `nil`
  ///   where there are none to compare with.
  init(texts: Tensor?) { self.texts = texts?.directions }

  /// - Parameter pictures: the embeddings of the next frames, (frames, width).
  mutating func add(_ pictures: Tensor) {
    for direction in pictures.directions {
      // A damaged encoder's numbers may be none.
      if let last, case let value = Self.cosine(last, direction), value.isFinite {
        similarities.append((frames, value))
      }
      if let texts, Self.cosine(direction, texts[0]) > Self.cosine(direction, texts[1]) {
        nearer += 1
      }
      last = direction
      frames += 1
    }
  }

  /// Tem-Con; `nil` of fewer than two frames.
  var consistency: Double? {
    similarities.isEmpty
      ? nil : similarities.reduce(0) { $0 + $1.value } / Double(similarities.count)
  }

  /// Frame-Acc, from 0 to 1.
  var accuracy: Double? {
    texts == nil || frames == 0 ? nil : Double(nearer) / Double(frames)
  }

  private static func cosine(_ a: [Double], _ b: [Double]) -> Double {
    zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
  }
}

extension Tensor {
  /// Rows of a matrix, each made as long as 1.
  fileprivate var directions: [[Double]] {
    (0..<shape[0]).map { row in
      let values = rows(row..<row + 1).values.map(Double.init)
      let length = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return length > 0 ? values.map { $0 / length } : values
    }
  }
}

extension EditMeasures {
  /// Frames that go through the image encoder at a time.
  private static let portion = 16

  /// Measures what the model's image encoder can tell; whatever is wrong with that is an omission.
  ///
  /// - Parameters:
  ///   - edited: all of the edited frames.
  ///   - progress: told after how many frames; what it throws ends it.
  /// - Throws: what the progress and reading the frames throw.
  mutating func compareEmbeddings(
    of edited: Pictures, by model: StableDiffusionModel, _ settings: EditSettings,
    progress: (_ frames: Int) throws -> Void
  ) throws {
    let encoders: CLIPSimilarity
    do {
      guard let found = try model.similarity() else {
        omit("tem_con", "frame_acc", "the model has no image encoder (a folder 'image_encoder')")
        return
      }
      encoders = found
    } catch {
      omit("tem_con", "frame_acc", "the model's image encoder cannot be used: \(error)")
      return
    }
    var texts: Tensor?
    if settings.sourcePrompt.isEmpty {
      omit("frame_acc", "there is no source prompt to compare with")
    } else {
      texts = encoders.embeddings(of: [settings.prompt, settings.sourcePrompt])
    }
    if texts == nil, !settings.sourcePrompt.isEmpty {
      omit(
        "frame_acc",
        "the model has no text encoder with a projection into the image encoder's space (a folder 'text_encoder_with_projection')"
      )
    }
    var measures = EmbeddingMeasures(texts: texts)
    for first in stride(from: 0, to: edited.frames, by: Self.portion) {
      let frames = first..<min(edited.frames, first + Self.portion)
      measures.add(encoders.pictures(try edited.read(frames)))
      try progress(frames.upperBound)
    }
    if edited.frames < 2 { omit("tem_con", "the clip has only one frame") }
    embeddings = measures
  }
}

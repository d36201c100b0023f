/// What the methods of editing can be told, each what it knows of it; none needs to be told
/// anything.
public struct EditorOptions: Codable, Sendable, Equatable {
  /// The share of the steps, from the first, in which the source's self-attention is put in; `nil`
  /// for the method's own.
  public var attentionShare: Double?
  /// The same for the source's features.
  public var featureShare: Double?
  /// The same for the source's attention to the text.
  public var crossAttentionShare: Double?
  /// TokenFlow: frames that share a keyframe; `nil` for the method's own.
  public var groupSize: Int?
  /// TokenFlow: how a frame goes over from one keyframe to the next; `nil` for the method's own.
  public var blending: Blending?
  /// TokenFlow: whether the decoder's features are made stronger and skip connections' lowest
  /// frequencies weaker (FreeU).
  public var freeU = false
  /// Pix2Video: how strongly each frame is drawn to the one before; `nil` for the method's own.
  public var pull: Double?
  /// Models that take instructions: how closely the edit follows the clip; `nil` for the method's
  /// own.
  public var imageGuidance: Double?
  /// FateZero: by how much attention to a word of the prompt is multiplied.
  public var emphasis: [String: Double] = [:]
  /// FateZero: whether a new word takes the attention of the one in its place, where both prompts
  /// have as many.
  public var replaceWords = false
  /// FateZero: from which share of their greatest attention on a pixel counts to the place of
  /// `blendWords`; `nil` for the method's own.
  public var blendThreshold: Double?
  /// FateZero: the words of the source prompt whose place alone is edited; everywhere where there
  /// are none.
  public var blendWords: [String] = []

  public init() {}

  public enum Blending: String, Codable, Sendable, CaseIterable {
    /// By the sigmoid of the distances to the own group's middle and to that of the one before: as
    /// the authors do it, with a jump where a group begins.
    case authors
    /// In equal steps from the middle of each group to the middle of the next.
    case linear
  }
}

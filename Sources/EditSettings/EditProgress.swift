/// Where a running edit is; what every place that shows progress shows.
public struct EditProgress: Codable, Sendable, Equatable {
  /// The stations of an edit, in their order.
  public enum Stage: String, Codable, Sendable, CaseIterable {
    case load, decode
    case encodeLatents = "encode-latents"
    case invert, reconstruct, edit
    case decodeLatents = "decode-latents"
    case encode, measure, present
  }

  public var stage: Stage
  /// Steps of this stage that are done, of `steps`.
  public var step: Int
  public var steps: Int
  /// Frames of the clip; 0 while unknown.
  public var frames: Int
  /// Estimated seconds until the whole edit is done; `nil` while nothing is known.
  public var secondsLeft: Double?
  /// How much of the whole edit's work is done, 0 to 1; `nil` where it is not told.
  public var share: Double?

  public init(
    stage: Stage, step: Int, steps: Int, frames: Int, secondsLeft: Double? = nil,
    share: Double? = nil
  ) {
    self.stage = stage
    self.step = step
    self.steps = steps
    self.frames = frames
    self.secondsLeft = secondsLeft
    self.share = share
  }

  enum CodingKeys: String, CodingKey {
    case stage, step, steps, frames, share
    case secondsLeft = "seconds_left"
  }
}

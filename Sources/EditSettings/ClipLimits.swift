/// What an operator allows a clip to take; `nil` where there is no limit.
public struct ClipLimits: Codable, Sendable, Equatable {
  /// Frames that are edited.
  public var frames: Int?
  /// Pixels of one frame of the clip, before it is scaled.
  public var framePixels: Int?
  /// Estimated bytes of memory that the edit takes.
  public var memoryBytes: Int?

  public init(frames: Int? = nil, framePixels: Int? = nil, memoryBytes: Int? = nil) {
    self.frames = frames
    self.framePixels = framePixels
    self.memoryBytes = memoryBytes
  }

  enum CodingKeys: String, CodingKey {
    case frames
    case framePixels = "frame_pixels"
    case memoryBytes = "worker_memory"
  }
}

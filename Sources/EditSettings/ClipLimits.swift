/// What a clip may ask of a worker; `nil` where nothing is set.
public struct ClipLimits: Codable, Sendable, Equatable {
  /// Frames that are edited.
  public var frames: Int?
  /// Pixels of one frame of the clip, before it is scaled.
  public var framePixels: Int?
  /// Bytes of memory that an edit may take.
  public var memoryBytes: Int?

  public init(frames: Int? = nil, framePixels: Int? = nil, memoryBytes: Int? = nil) {
    (self.frames, self.framePixels, self.memoryBytes) = (frames, framePixels, memoryBytes)
  }

  enum CodingKeys: String, CodingKey {
    case frames
    case framePixels = "frame_pixels"
    case memoryBytes = "worker_memory"
  }
}

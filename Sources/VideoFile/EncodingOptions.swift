/// What to write a clip as.
public struct EncodingOptions: Codable, Sendable, Equatable {
  public enum Format: String, Codable, Sendable, CaseIterable {
    /// In mp4.
    case h264, hevc, av1, vp9
    /// A picture, of a clip that has one frame.
    case png, jpeg

    var isStill: Bool { self == .png || self == .jpeg }
  }

  /// In pixels.
  public struct Size: Codable, Sendable, Equatable {
    public var width: Int
    public var height: Int

    public init(width: Int, height: Int) { (self.width, self.height) = (width, height) }
  }

  public var format: Format
  /// The encoder's constant quality, the smaller the better: 0 to 51 of h264 and hevc, 0 to 63 of
  /// av1 and vp9, 1 to 31 of jpeg; png loses nothing. `nil` for one that is hard to tell from the
  /// clip.
  public var quality: Int?
  /// The size that the clip is scaled to; `nil` for its own. Even sides, but for pictures.
  public var size: Size?
  /// The sound that goes with the clip; `nil` for none. Pictures have none.
  public var sound: SoundSource?

  public init(
    format: Format = .h264, quality: Int? = nil, size: Size? = nil, sound: SoundSource? = nil
  ) {
    (self.format, self.quality, self.size, self.sound) = (format, quality, size, sound)
  }
}

extension EncodingOptions.Format {
  /// What `EncodingOptions.quality` may be; `nil` where nothing is lost.
  public var qualities: ClosedRange<Int>? {
    switch self {
    case .h264, .hevc: 0...51
    case .av1, .vp9: 0...63
    case .jpeg: 1...31
    case .png: nil
    }
  }
}

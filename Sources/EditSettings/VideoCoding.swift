/// How edited videos are coded.
public struct VideoCoding: Codable, Sendable, Equatable {
  public enum Codec: String, Codable, Sendable, CaseIterable {
    /// What every player plays.
    case h264
    case hevc, av1, vp9
  }

  public var codec: Codec
  /// The encoder's constant quality, its "crf": the smaller, the better and the larger the file;
  /// `nil` for one that is hard to tell from what was edited.
  public var quality: Int?

  public init(codec: Codec = .h264, quality: Int? = nil) {
    (self.codec, self.quality) = (codec, quality)
  }
}

extension VideoCoding.Codec {
  /// What `VideoCoding.quality` may be.
  public var qualities: ClosedRange<Int> {
    switch self {
    case .h264, .hevc: 0...51
    case .av1, .vp9: 0...63
    }
  }
}

extension VideoCoding {
  /// Whatever any of the codecs takes.
  public static let qualities = 0...63

  /// Why the codec does not take the quality, as a sentence; `nil` where it does.
  public var refusal: String? {
    guard let quality, !codec.qualities.contains(quality) else { return nil }
    return
      "\(codec.rawValue) takes a quality from \(codec.qualities.lowerBound) to \(codec.qualities.upperBound), not \(quality)"
  }
}

import EditSettings
import VideoFile

extension VideoCoding {
  /// - Throws: `ClipEditError` where this machine cannot write such videos.
  func check() throws {
    guard let shortcoming = refusal ?? codec.format.shortcoming else { return }
    throw ClipEditError("\(shortcoming): choose another 'codec' or 'quality'")
  }

  /// - Parameter file: that the clip was decoded from, whose sound the edit keeps; what messages call
  ///   it.
  /// - Throws: `ClipEditError` where its edit cannot be written so, before anything is computed.
  func options(for clip: StoredClip, of file: (path: String, name: String?), _ size: OutputSize)
    throws -> EncodingOptions
  {
    var sound = clip.source.sound(of: file.path)
    sound.name = file.name
    let options = EncodingOptions(
      format: codec.format, quality: quality,
      size: size == .source ? clip.source.evenSize : nil, sound: sound)
    if let refusal = options.refusal(width: clip.width, height: clip.height) {
      throw ClipEditError("the edit \(refusal)")
    }
    return options
  }
}

extension VideoCoding.Codec {
  fileprivate var format: EncodingOptions.Format {
    switch self {
    case .h264: .h264
    case .hevc: .hevc
    case .av1: .av1
    case .vp9: .vp9
    }
  }
}

extension EditSettings {
  /// - Parameter frames: how many; `nil` for all.
  func decodingOptions(size: DecodingOptions.Size, _ frames: Int?) -> DecodingOptions {
    DecodingOptions(size: size, start: start, every: every, frames: frames)
  }
}

extension StoredClip {
  /// The same clip with other pictures.
  func with(_ frames: FrameFile) -> StoredClip {
    StoredClip(
      width: width, height: height, timing: timing, frames: frames, colors: colors,
      source: source)
  }
}

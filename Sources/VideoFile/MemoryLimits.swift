import CLinux
import Foundation

extension VideoProcess.Limits {
  /// Libraries, and what containers and decoders need besides pictures. Half of it is mapped code.
  private static let base = 5 << 28
  /// Six pictures of four colours in 16 bit: more than a decoder keeps of the greatest ones; of
  /// small ones, of which it keeps more, the base holds as many as there may be.
  private static let decoderBytesPerPixel = 48
  /// Scaled, turned upright.
  private static let outputBytesPerPixel = 8
  /// x264 looks half a hundred pictures ahead; 56 to 71 bytes were measured. The others keep more
  /// of each.
  private static func encoderBytesPerPixel(_ format: EncodingOptions.Format) -> Int {
    switch format {
    case .h264, .png, .jpeg: 128
    case .hevc, .av1, .vp9: 256
    }
  }

  /// No more memory than pictures take that these options let through.
  func narrowed(toDecode options: DecodingOptions) -> Self {
    let output =
      switch options.size {
      case .source: options.maximumPixels
      case .exactly(let width, let height): Self.clamped(width) * Self.clamped(height)
      case .fitting(let area, _): 2 * Self.clamped(area)
      case .shorterSide(let side, _): Self.clamped(side) * DecodingOptions.longestSide
      }
    return with(
      bytes: Self.clamped(options.maximumPixels) * Self.decoderBytesPerPixel
        + Self.clamped(output) * Self.outputBytesPerPixel)
  }

  func narrowed(toEncode clip: some Movie, as options: EncodingOptions) -> Self {
    let size = options.outputSize(width: clip.width, height: clip.height)
    let scaled = Self.clamped(clip.width * clip.height) * Self.outputBytesPerPixel
    return with(
      bytes: scaled
        + Self.clamped(size.width * size.height) * Self.encoderBytesPerPixel(options.format))
  }

  private func with(bytes: Int) -> Self {
    var result = self
    result.memoryBytes = min(memoryBytes, Self.base + bytes)
    return result
  }

  /// Greater than any picture, and far from overflowing.
  private static func clamped(_ count: Int) -> Int { min(max(0, count), 1 << 31) }
}

extension VideoFailure {
  /// Memory was refused: for good, by libav or by this process's limit, or by a machine that is
  /// short of it now.
  static var outOfMemory: VideoFailure {
    // Address space that nobody may touch costs the machine nothing: only the limit refuses it.
    if isGranted(PROT_NONE), !isGranted(PROT_READ | PROT_WRITE) {
      return VideoFailure(.resources, "needs more memory than there is")
    }
    var limit = rlimit()
    let isLimited =
      getrlimit(__rlimit_resource_t(UInt32(stem_RLIMIT_AS)), &limit) == 0
      && limit.rlim_cur < 1 << 48
    let bytes = isLimited ? String(format: " (%.1f GiB)", Double(limit.rlim_cur) / 0x1p30) : ""
    return VideoFailure(
      .limit, "asks for more memory than a video may take\(bytes); scale it down or write it anew")
  }

  private static func isGranted(_ protection: Int32) -> Bool {
    let size = 256 << 20
    let memory = mmap(nil, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let memory, memory != MAP_FAILED else { return false }
    munmap(memory, size)
    return true
  }
}

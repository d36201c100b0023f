import CLibAV

extension EncodingOptions.Format {
  /// libavcodec's encoder.
  private var encoderName: String {
    switch self {
    case .h264: "libx264"
    case .hevc: "libx265"
    // Not SVT-AV1, which refuses small pictures and computes in many threads.
    case .av1: "libaom-av1"
    case .vp9: "libvpx-vp9"
    case .png: "png"
    case .jpeg: "mjpeg"
    }
  }

  private var defaultQuality: Int {
    switch self {
    case .h264: 16
    case .hevc: 18
    case .av1: 20
    case .vp9: 22
    case .png: 0
    case .jpeg: 3
    }
  }

  var pixelFormat: AVPixelFormat {
    switch self {
    case .h264, .hevc, .av1, .vp9: AV_PIX_FMT_YUV420P
    case .png: AV_PIX_FMT_RGB24
    // Its range is full, whatever the name says.
    case .jpeg: AV_PIX_FMT_YUVJ444P
    }
  }

  /// What the encoder takes, in pixels.
  var shortestSide: Int {
    switch self {
    // x265 refuses less than 32, and writes where it must not with less than a coding unit.
    case .hevc: 64
    case .h264, .av1, .vp9: 2
    case .png, .jpeg: 1
    }
  }

  /// What this machine's libavcodec lacks to write such files, as a sentence; `nil` for nothing.
  public var shortcoming: String? {
    guard avcodec_find_encoder_by_name(encoderName) == nil else { return nil }
    return "this machine's libavcodec has no encoder \(encoderName), which writes \(rawValue)"
  }

  /// An encoder that is not opened yet, set up for constant quality and the same bytes every time.
  /// - Throws: `VideoFailure`
  func makeEncoder(quality: Int?) throws -> (
    context: UnsafeMutablePointer<AVCodecContext>, codec: UnsafePointer<AVCodec>
  ) {
    guard let codec = avcodec_find_encoder_by_name(encoderName) else {
      throw VideoFailure(
        .resources, "cannot be written: this machine's libavcodec has no \(encoderName) encoder")
    }
    guard let encoder = avcodec_alloc_context3(codec) else { throw VideoFailure.outOfMemory }
    encoder.pointee.pix_fmt = pixelFormat
    // One thread: rate control depends on how many there are.
    encoder.pointee.thread_count = 1
    encoder.pointee.flags |= AV_CODEC_FLAG_BITEXACT
    let quality = quality ?? defaultQuality
    for (name, value) in privateOptions(quality: quality) {
      av_opt_set(encoder.pointee.priv_data, name, value, 0)
    }
    switch self {
    case .h264, .hevc:
      // No B-frames: mp4 keeps decoding times' differences as durations, which are the frames' own
      // only where both orders are the same.
      encoder.pointee.max_b_frames = 0
    case .av1, .vp9:
      // Constant quality is constrained by a bit rate, unless that is none.
      encoder.pointee.bit_rate = 0
    case .jpeg:
      encoder.pointee.flags |= AV_CODEC_FLAG_QSCALE
      encoder.pointee.global_quality = FF_QP2LAMBDA * Int32(quality)
      encoder.pointee.color_range = AVCOL_RANGE_JPEG
    case .png: break
    }
    if self == .hevc {
      // What Apple's players take.
      encoder.pointee.codec_tag = "hvc1".utf8.reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
    return (encoder, codec)
  }

  private func privateOptions(quality: Int) -> [(String, String)] {
    switch self {
    case .h264:
      [
        ("preset", "medium"), ("crf", "\(quality)"),
        // With x264's macroblock trees (mbtree), about one encoding in ten of the same small
        // pictures comes out with other bytes (not so with asm=0).
        ("mbtree", "0"),
      ]
    case .hevc:
      [
        ("preset", "medium"), ("crf", "\(quality)"),
        (
          "x265-params",
          "pools=none:frame-threads=1:wpp=0:bframes=0:log-level=none:info=0:repeat-headers=0"
        ),
      ]
    case .av1:
      [("crf", "\(quality)"), ("cpu-used", "6"), ("row-mt", "0")]
    case .vp9:
      [("crf", "\(quality)"), ("cpu-used", "4"), ("deadline", "good"), ("row-mt", "0")]
    case .png, .jpeg: []
    }
  }
}

import CLibAV
import Foundation

/// Writes videos with libav, in this process.
enum VideoEncoder {
  /// Writes `clip` as H.264 in mp4 to the empty regular file behind `descriptor`, open for reading
  /// and writing. It stays open, and syncing it is the caller's business.
  ///
  /// What every player opens: yuv420p, High profile, constant quality (crf 16), the index before
  /// the pictures (faststart). RGB is taken for sRGB and converted with the BT.601 matrix to
  /// limited range; the file is tagged so (matrix smpte170m, primaries and transfer bt709): players
  /// that ignore tags assume just that matrix. Presentation times are kept exactly, but for time
  /// bases that an mp4 file cannot hold (`VideoTiming.fittingMovie`). The same clip gives the same
  /// bytes.
  /// - Throws: `VideoFileError`; sides must be even, and frames at least one.
  static func encode(_ clip: some Movie, descriptor: Int32, name: String = "the video") throws {
    try naming(name) {
      let timing = try clip.timingForMovie()
      try LibAVLog.listening {
        var writer = try MovieWriter(descriptor: descriptor)
        try clip.write(to: &writer, timing: timing)
      }
    }
  }
}

extension Movie {
  /// Times that fit an mp4 file.
  /// - Throws: `VideoFailure` where its fields contradict each other, or it cannot be a movie.
  func timingForMovie() throws -> VideoTiming {
    guard frameCount > 0 else {
      throw VideoFailure(.input, "cannot be written: the clip has no frames")
    }
    try MovieWriter.checkSize(width: width, height: height)
    guard byteCount == frameCount * bytesPerFrame else {
      throw VideoFailure(
        .input,
        "cannot be written: \(frameCount) frames of \(width)x\(height) take \(frameCount * bytesPerFrame) bytes, "
          + "not \(byteCount)"
      )
    }
    let latest: Int64 = 1 << 53
    guard timing.timeBase.isPositive, timing.frameRate.isPositive, timing.pts.first == 0,
      (1..<latest).contains(timing.lastFrameDuration),
      zip(timing.pts, timing.pts.dropFirst()).allSatisfy({ $0 < $1 && $1 < latest })
    else {
      throw VideoFailure(
        .input, "cannot be written: its frames' times do not start at 0 and increase")
    }
    return timing.fittingMovie()
  }
}

/// Encodes frames one by one. Use it once, within `LibAVLog.listening`.
final class MovieWriter: FrameSink {
  private let output: DescriptorStream
  private var container: UnsafeMutablePointer<AVFormatContext>?
  private var encoder: UnsafeMutablePointer<AVCodecContext>?
  private var packet = av_packet_alloc()
  private var header: ClipHeader?

  /// Padded rows for libswscale to read from.
  private var source: Picture?
  private let converter = PictureConverter(
    flags: Int32(SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INP))
  /// Waits for the next one's time, which says how long it is shown.
  private var pending: Picture?
  /// Of the frames inside the encoder, by presentation time.
  private var durations: [Int64: Int64] = [:]

  /// `descriptor`: open for reading and writing; it stays the caller's.
  init(descriptor: Int32) throws {
    output = try DescriptorStream(descriptor: descriptor, writable: true)
  }

  deinit {
    av_packet_free(&packet)
    avcodec_free_context(&encoder)
    avformat_free_context(container)
  }

  static func checkSize(width: Int, height: Int) throws {
    guard width > 0, height > 0, width.isMultiple(of: 2), height.isMultiple(of: 2),
      max(width, height) <= DecodingOptions.longestSide
    else {
      throw VideoFailure(
        .input,
        "cannot be written at \(width)x\(height): H.264 for every player takes even sides "
          + "of 2 to \(DecodingOptions.longestSide) pixels"
      )
    }
  }

  func begin(_ header: ClipHeader) throws {
    try Self.checkSize(width: header.width, height: header.height)
    guard header.timeBase.isPositive, header.frameRate.isPositive else {
      throw VideoFailure(.input, "cannot be written: it has no time base")
    }
    self.header = header
    source = try Picture(width: header.width, height: header.height, format: AV_PIX_FMT_RGB24)

    guard let codec = avcodec_find_encoder_by_name("libx264"),
      let encoder = avcodec_alloc_context3(codec)
    else {
      throw VideoFailure(
        .resources, "cannot be written: this machine's libavcodec has no libx264 encoder")
    }
    self.encoder = encoder
    encoder.pointee.width = Int32(header.width)
    encoder.pointee.height = Int32(header.height)
    encoder.pointee.pix_fmt = AV_PIX_FMT_YUV420P
    encoder.pointee.time_base = header.timeBase.libav
    encoder.pointee.framerate = header.frameRate.libav
    encoder.pointee.sample_aspect_ratio = AVRational(num: 1, den: 1)
    encoder.pointee.colorspace = AVCOL_SPC_SMPTE170M
    encoder.pointee.color_primaries = AVCOL_PRI_BT709
    encoder.pointee.color_trc = AVCOL_TRC_BT709
    encoder.pointee.color_range = AVCOL_RANGE_MPEG
    encoder.pointee.chroma_sample_location = AVCHROMA_LOC_LEFT
    // No B-frames: mp4 keeps decoding times' differences as durations, which are the frames' own
    // only where both orders are the same.
    encoder.pointee.max_b_frames = 0
    // One thread: x264's rate control depends on how many there are.
    encoder.pointee.thread_count = 1
    encoder.pointee.flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT
    av_opt_set(encoder.pointee.priv_data, "preset", "medium", 0)
    av_opt_set(encoder.pointee.priv_data, "crf", "16", 0)
    // With x264's macroblock trees (mbtree), about one encoding in ten of the same small pictures
    // comes out with other bytes (not so with asm=0).
    av_opt_set(encoder.pointee.priv_data, "mbtree", "0", 0)
    try check(avcodec_open2(encoder, codec, nil))
    try openContainer(encoder, header)
  }

  private func openContainer(_ encoder: UnsafeMutablePointer<AVCodecContext>, _ header: ClipHeader)
    throws
  {
    try check(avformat_alloc_output_context2(&container, nil, "mp4", nil))
    guard let container, let stream = avformat_new_stream(container, nil) else {
      throw VideoFailure.outOfMemory
    }
    container.pointee.pb = output.context
    container.pointee.flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT
    container.pointee.opaque = Unmanaged.passUnretained(output).toOpaque()
    // Moving the index to the front, the muxer asks for a second reader of its own file.
    container.pointee.io_open = { container, target, _, flags, _ in
      guard let container, let target, flags & AVIO_FLAG_WRITE == 0 else { return -EPERM }
      let output = DescriptorStream.of(container.pointee.opaque)
      guard let reader = try? DescriptorStream(descriptor: output.descriptor, writable: false)
      else { return -ENOMEM }
      target.pointee = reader.context
      _ = Unmanaged.passRetained(reader)
      return 0
    }
    container.pointee.io_close2 = { _, context in
      guard let context else { return 0 }
      // Balances `passRetained` above; the stream frees the context.
      Unmanaged<DescriptorStream>.fromOpaque(context.pointee.opaque).release()
      return 0
    }
    try check(avcodec_parameters_from_context(stream.pointee.codecpar, encoder))
    // The muxer takes the denominator for its ticks a second; multiples of it are exact.
    stream.pointee.time_base = AVRational(num: 1, den: header.timeBase.denominator)
    stream.pointee.avg_frame_rate = header.frameRate.libav
    var settings: OpaquePointer?
    defer { av_dict_free(&settings) }
    av_dict_set(&settings, "movflags", "+faststart", 0)
    try check(avformat_write_header(container, &settings))
  }

  func append(pts: Int64, pixels: UnsafeRawBufferPointer) throws {
    guard let header, let source = source?.frame, let rows = source.pointee.data.0,
      let base = pixels.baseAddress,
      pixels.count == header.bytesPerFrame
    else { throw VideoFailure(.input, "cannot be written: a frame does not match its header") }
    for y in 0..<header.height {
      memcpy(
        rows + y * Int(source.pointee.linesize.0), base + y * header.width * 3, header.width * 3)
    }
    let picture = try Picture(
      width: header.width, height: header.height, format: AV_PIX_FMT_YUV420P)
    let (width, height) = (Int32(header.width), Int32(header.height))
    try converter.convert(
      source, of: PictureConverter.Kind(width: width, height: height, format: AV_PIX_FMT_RGB24),
      into: picture.frame,
      of: PictureConverter.Kind(
        width: width, height: height, format: AV_PIX_FMT_YUV420P, colorSpace: AVCOL_SPC_SMPTE170M,
        fullRange: false,
        chromaLocation: AVCHROMA_LOC_LEFT))
    picture.frame.pointee.pts = pts
    if let pending {
      let duration = pts - pending.frame.pointee.pts
      guard duration > 0 else {
        throw VideoFailure(.input, "cannot be written: its frames' times do not increase")
      }
      try send(pending, duration: duration)
    }
    pending = picture
  }

  func finish(_ trailer: ClipTrailer) throws {
    guard let pending else {
      throw VideoFailure(.input, "cannot be written: the clip has no frames")
    }
    try send(pending, duration: trailer.lastFrameDuration)
    self.pending = nil
    try check(avcodec_send_frame(encoder, nil))
    try writePackets()
    try check(av_write_trailer(container))
    avio_flush(output.context)
    try check(output.context?.pointee.error ?? 0)
  }

  private func send(_ picture: Picture, duration: Int64) throws {
    durations[picture.frame.pointee.pts] = duration
    try check(avcodec_send_frame(encoder, picture.frame))
    try writePackets()
  }

  private func writePackets() throws {
    guard let container, let encoder, let packet, let stream = container.pointee.streams[0] else {
      throw VideoFailure.outOfMemory
    }
    while true {
      let code = avcodec_receive_packet(encoder, packet)
      if code == stem_AVERROR_EOF || code == stem_AVERROR_EAGAIN { return }
      try check(code)
      defer { av_packet_unref(packet) }
      packet.pointee.stream_index = stream.pointee.index
      packet.pointee.duration = durations.removeValue(forKey: packet.pointee.pts) ?? 0
      av_packet_rescale_ts(packet, encoder.pointee.time_base, stream.pointee.time_base)
      try check(av_write_frame(container, packet))
    }
  }

  private func check(_ code: Int32) throws {
    guard code < 0 else { return }
    if output.failure != 0 {
      throw VideoFailure(
        .resources, "cannot be written: \(String(cString: strerror(output.failure)))")
    }
    if code == -ENOMEM { throw VideoFailure.outOfMemory }
    throw VideoFailure(
      .input, "cannot be written: \(LibAVLog.lastError ?? describe(libavError: code))")
  }
}

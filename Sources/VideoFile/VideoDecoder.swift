import CLibAV
import Foundation

/// Reads videos with libav, in this process. No program but the child may: strangers' files belong
/// into `VideoProcess`.
enum VideoDecoder {
  /// Reads the regular file behind `descriptor`, which stays open; nothing else is ever opened,
  /// whatever the file's contents name.
  ///
  /// Frames are scaled by libswscale's bicubic filter and turned upright. Colours follow the matrix
  /// and range with which the file is tagged; untagged ones are taken for BT.709 where the picture
  /// is at least 1280 wide or higher than 576, else for BT.601, limited range (as players do). The
  /// transfer function and primaries stay as they are (no tone mapping), interlaced frames are not
  /// separated. Presentation times are the file's, shifted to start at 0, with missing ones filled
  /// in by the frame rate; they increase. The same file and options give the same pixels on the
  /// same kind of processor.
  /// - Parameter name: the file's name, for messages only.
  /// - Throws: `VideoFileError`.
  static func decode(descriptor: Int32, name: String, options: DecodingOptions) throws
    -> VideoClip
  {
    try naming(name) {
      var collector = ClipCollector(options: options, store: FrameArray())
      try decode(descriptor: descriptor, options: options, into: &collector)
      let clip = try collector.clip()
      return VideoClip(
        width: clip.header.width, height: clip.header.height, timing: clip.timing,
        pixels: clip.store.pixels, warnings: clip.warnings)
    }
  }

  /// - Throws: `VideoFailure`, and what `sink` throws.
  static func decode(descriptor: Int32, options: DecodingOptions, into sink: inout some FrameSink)
    throws
  {
    try LibAVLog.listening {
      let decoding = try Decoding(descriptor: descriptor, options: options)
      try decoding.run(into: &sink)
    }
  }
}

/// One decoding, from the open file to the last frame.
private final class Decoding {
  private let options: DecodingOptions
  private let input: DescriptorStream
  private var container: UnsafeMutablePointer<AVFormatContext>?
  private var decoder: UnsafeMutablePointer<AVCodecContext>?
  private var packet = av_packet_alloc()
  private var frame = av_frame_alloc()
  private var stream: UnsafeMutablePointer<AVStream>

  private let converter = PictureConverter(flags: Int32(SWS_BICUBIC))
  private var scaled: Picture?
  /// Not an array, which ends the process where there is no memory for it.
  private var upright = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  private var times: FrameTimes
  private var outputSize: (width: Int, height: Int)?
  private var frameCount = 0
  private var lastFrameDuration: Int64 = 0
  /// Why part of the file could not be used; the first reason.
  private var damage: String?

  init(descriptor: Int32, options: DecodingOptions) throws {
    self.options = options
    if let frames = options.frames, frames < 1 {
      throw VideoFailure(.input, "cannot be read: \(frames) frames were asked for, take 1 or more")
    }
    let size = lseek(descriptor, 0, SEEK_END)
    guard size >= 0 else {
      throw VideoFailure(.resources, "cannot be read: \(String(cString: strerror(errno)))")
    }
    guard size > 0 else { throw VideoFailure(.input, "is empty") }
    input = try DescriptorStream(descriptor: descriptor, writable: false)

    let container = try Self.openContainer(input)
    self.container = container
    do {
      stream = try Self.videoStream(of: container, options: options)
      decoder = try Self.openDecoder(for: stream, options: options)
    } catch {
      // `deinit` does not run for an object whose properties are not all set.
      avformat_close_input(&self.container)
      av_packet_free(&packet)
      av_frame_free(&frame)
      throw error
    }
    times = FrameTimes(
      timeBase: Rational(stream.pointee.time_base),
      frameRate: Self.frameRate(of: stream, in: container))
  }

  deinit {
    free(upright.baseAddress)
    av_packet_free(&packet)
    av_frame_free(&frame)
    avcodec_free_context(&decoder)
    avformat_close_input(&container)
  }

  // MARK: Opening

  private static func openContainer(_ input: DescriptorStream) throws -> UnsafeMutablePointer<
    AVFormatContext
  > {
    // Probed here rather than by avformat_open_input, to say what the file is where it is refused.
    // No name: only contents count.
    var format: UnsafePointer<AVInputFormat>?
    let probed = av_probe_input_buffer2(input.context, &format, nil, nil, 0, 0)
    guard probed >= 0, let format else { throw notAVideo(probed, input) }
    let formatName = String(cString: format.pointee.name)
    guard Demuxers.allowed.contains(formatName) else {
      throw VideoFailure(
        .input,
        "is not a video that can be decoded: its contents look like \"\(formatName)\", which is not among the formats allowed"
      )
    }

    guard let context = avformat_alloc_context() else {
      throw VideoFailure.outOfMemory
    }
    context.pointee.pb = input.context
    context.pointee.flags |= AVFMT_FLAG_CUSTOM_IO
    context.pointee.io_open = { _, target, _, _, _ in
      target?.pointee = nil
      return -EPERM
    }
    var settings: OpaquePointer?
    defer { av_dict_free(&settings) }
    av_dict_set(&settings, "format_whitelist", Demuxers.list, 0)
    // A name that no protocol has; an empty list would allow all.
    av_dict_set(&settings, "protocol_whitelist", "none", 0)
    var opened: UnsafeMutablePointer<AVFormatContext>? = context
    let code = avformat_open_input(&opened, nil, format, &settings)
    guard code >= 0, let opened else { throw notAVideo(code, input) }
    return opened
  }

  private static func notAVideo(_ code: Int32, _ input: DescriptorStream) -> VideoFailure {
    if code == -ENOMEM { return VideoFailure.outOfMemory }
    if input.failure != 0 {
      return VideoFailure(.resources, "cannot be read: \(String(cString: strerror(input.failure)))")
    }
    return VideoFailure(
      .input,
      "is not a video that can be decoded: \(LibAVLog.lastError ?? describe(libavError: code))")
  }

  private static func videoStream(
    of container: UnsafeMutablePointer<AVFormatContext>, options: DecodingOptions
  ) throws -> UnsafeMutablePointer<AVStream> {
    let before = Int(container.pointee.nb_streams)
    var settings = [OpaquePointer?](repeating: nil, count: before)
    for index in settings.indices {
      av_dict_set_int(&settings[index], "max_pixels", Int64(options.maximumPixels), 0)
    }
    let code = settings.withUnsafeMutableBufferPointer {
      avformat_find_stream_info(container, $0.baseAddress)
    }
    for index in settings.indices { av_dict_free(&settings[index]) }
    if code == -ENOMEM { throw VideoFailure.outOfMemory }

    var candidates = (0..<Int(container.pointee.nb_streams)).compactMap {
      container.pointee.streams[$0]
    }
    // The cover of a song is no video.
    candidates.removeAll {
      $0.pointee.codecpar.pointee.codec_type != AVMEDIA_TYPE_VIDEO
        || $0.pointee.disposition & AV_DISPOSITION_ATTACHED_PIC != 0
    }
    let best = av_find_best_stream(container, AVMEDIA_TYPE_VIDEO, -1, -1, nil, 0)
    guard let stream = candidates.first(where: { $0.pointee.index == best }) ?? candidates.first
    else {
      throw VideoFailure(.input, "has no video in it, only other streams (sound, subtitles)")
    }
    for index in 0..<Int(container.pointee.nb_streams)
    where container.pointee.streams[index] != stream {
      container.pointee.streams[index]?.pointee.discard = AVDISCARD_ALL
    }
    return stream
  }

  private static func openDecoder(
    for stream: UnsafeMutablePointer<AVStream>, options: DecodingOptions
  ) throws -> UnsafeMutablePointer<AVCodecContext> {
    let parameters = stream.pointee.codecpar.pointee
    try checkPixels(width: Int(parameters.width), height: Int(parameters.height), options)
    guard let codec = avcodec_find_decoder(parameters.codec_id) else {
      throw VideoFailure(
        .input,
        "is coded in \(String(cString: avcodec_get_name(parameters.codec_id))), for which there is no decoder"
      )
    }
    var context = avcodec_alloc_context3(codec)
    guard let decoder = context else { throw VideoFailure.outOfMemory }
    var code = avcodec_parameters_to_context(decoder, stream.pointee.codecpar)
    decoder.pointee.pkt_timebase = stream.pointee.time_base
    decoder.pointee.max_pixels = Int64(options.maximumPixels)
    // One thread: the pictures of damaged streams depend on nothing but their bytes, and libav logs
    // on this thread.
    decoder.pointee.thread_count = 1
    if code >= 0 { code = avcodec_open2(decoder, codec, nil) }
    guard code >= 0 else {
      avcodec_free_context(&context)
      if code == -ENOMEM { throw VideoFailure.outOfMemory }
      throw VideoFailure(
        .input,
        "is not a video that can be decoded: \(LibAVLog.lastError ?? describe(libavError: code))")
    }
    return decoder
  }

  private static func checkPixels(width: Int, height: Int, _ options: DecodingOptions) throws {
    guard width > 0, height > 0 else { return }
    let (pixels, overflow) = width.multipliedReportingOverflow(by: height)
    guard !overflow, pixels <= options.maximumPixels else {
      throw VideoFailure(
        .limit,
        "has frames of \(width)x\(height), more than the limit of \(options.maximumPixels) pixels (maximumPixels)"
      )
    }
  }

  private static func frameRate(
    of stream: UnsafeMutablePointer<AVStream>, in container: UnsafeMutablePointer<AVFormatContext>
  )
    -> Rational
  {
    let guess = Rational(av_guess_frame_rate(container, stream, nil))
    let average = Rational(stream.pointee.avg_frame_rate)
    let sensible = [guess, average].filter {
      $0.isPositive && (1 / 3600.0...1000).contains($0.value)
    }
    // The guess is the tidy number (30000/1001) of a constant rate, and of a variable one the
    // finest step, far from the average.
    if sensible.count == 2, abs(guess.value / average.value - 1) > 0.05 { return average }
    return sensible.first ?? Rational(25, 1)
  }

  // MARK: Reading

  func run(into sink: inout some FrameSink) throws {
    guard let container, let decoder, let packet, frame != nil else {
      throw VideoFailure.outOfMemory
    }
    reading: while !isSatisfied {
      let code = av_read_frame(container, packet)
      if code == stem_AVERROR_EOF { break reading }
      if code == -EAGAIN { continue }
      guard code >= 0 else {
        try note(code)
        break reading
      }
      defer { av_packet_unref(packet) }
      guard packet.pointee.stream_index == stream.pointee.index else { continue }
      if packet.pointee.flags & AV_PKT_FLAG_CORRUPT != 0, damage == nil {
        damage = "a packet is cut short"
      }
      // A bad packet is skipped: what comes after it may be good again.
      try note(avcodec_send_packet(decoder, packet))
      try receiveFrames(into: &sink)
    }
    if !isSatisfied {
      try note(avcodec_send_packet(decoder, nil))
      try receiveFrames(into: &sink)
    }
    guard frameCount > 0 else {
      throw VideoFailure(
        .input, "has no frame that can be decoded\(damage.map { ": \($0)" } ?? "")")
    }
    let warnings =
      damage.map {
        ["Part of the file is missing or damaged (\($0)); \(frameCount) frames could be read."]
      } ?? []
    try sink.finish(
      ClipTrailer(frameCount: frameCount, lastFrameDuration: lastFrameDuration, warnings: warnings))
  }

  private var isSatisfied: Bool { frameCount == options.frames }

  /// Remembers what was wrong; throws where going on makes no sense.
  private func note(_ code: Int32) throws {
    guard code < 0, code != stem_AVERROR_EOF, code != -EAGAIN else { return }
    if code == -ENOMEM { throw VideoFailure.outOfMemory }
    if input.failure != 0 {
      throw VideoFailure(.resources, "cannot be read: \(String(cString: strerror(input.failure)))")
    }
    if damage == nil { damage = LibAVLog.lastError ?? describe(libavError: code) }
  }

  private func receiveFrames(into sink: inout some FrameSink) throws {
    guard let frame else { return }
    while !isSatisfied {
      let code = avcodec_receive_frame(decoder, frame)
      guard code >= 0 else { return try note(code) }
      defer { av_frame_unref(frame) }
      try deliver(frame, into: &sink)
    }
  }

  // MARK: Delivering

  private func deliver(_ frame: UnsafeMutablePointer<AVFrame>, into sink: inout some FrameSink)
    throws
  {
    try Self.checkPixels(
      width: Int(frame.pointee.width), height: Int(frame.pointee.height), options)
    let orientation = self.orientation(of: frame)
    let size = try outputSize ?? begin(frame, orientation, into: &sink)
    guard frameCount < options.maximumFrames else {
      throw VideoFailure(
        .limit,
        "has more than \(options.maximumFrames) frames, which is the limit (maximumFrames); cut it, or ask for fewer frames"
      )
    }

    let stored = orientation.transposed ? (width: size.height, height: size.width) : size
    if scaled.map({ Int($0.frame.pointee.width) != stored.width }) ?? true {
      scaled = try Picture(width: stored.width, height: stored.height, format: AV_PIX_FMT_RGB24)
    }
    guard let picture = scaled?.frame else { return }
    try converter.convert(
      frame, of: Self.kind(of: frame), into: picture,
      of: PictureConverter.Kind(
        width: Int32(stored.width), height: Int32(stored.height), format: AV_PIX_FMT_RGB24))

    let claimed = frame.pointee.best_effort_timestamp
    let time = times.next(claimed == stem_AV_NOPTS_VALUE ? nil : claimed)
    let duration = frame.pointee.pkt_duration
    lastFrameDuration = duration > 0 && duration < 1 << 48 ? duration : times.nominalDuration
    frameCount += 1
    guard let target = upright.baseAddress, let source = picture.pointee.data.0 else { return }
    orientation.turn(
      source, stride: Int(picture.pointee.linesize.0),
      into: target.assumingMemoryBound(to: UInt8.self), width: size.width, height: size.height)
    try sink.append(pts: time, pixels: UnsafeRawBufferPointer(upright))
  }

  private func begin(
    _ frame: UnsafeMutablePointer<AVFrame>, _ orientation: Orientation,
    into sink: inout some FrameSink
  ) throws -> (width: Int, height: Int) {
    let ratio = Rational(av_guess_sample_aspect_ratio(container, stream, frame))
    let pixelAspect = ratio.isPositive && (1 / 16.0...16).contains(ratio.value) ? ratio.value : 1
    let (width, height) = (Int(frame.pointee.width), Int(frame.pointee.height))
    let size =
      orientation.transposed
      ? try options.outputSize(
        sourceWidth: height, sourceHeight: width, pixelAspect: 1 / pixelAspect)
      : try options.outputSize(sourceWidth: width, sourceHeight: height, pixelAspect: pixelAspect)
    outputSize = size
    let bytes = size.width * size.height * 3
    guard let memory = malloc(bytes) else { throw VideoFailure.outOfMemory }
    upright = UnsafeMutableRawBufferPointer(start: memory, count: bytes)
    try sink.begin(
      ClipHeader(
        width: size.width, height: size.height, timeBase: times.timeBase,
        frameRate: times.frameRate,
        expectedFrames: options.frames ?? Int(clamping: stream.pointee.nb_frames)))
    return size
  }

  private func orientation(of frame: UnsafeMutablePointer<AVFrame>) -> Orientation {
    let matrixSize = 9 * MemoryLayout<Int32>.size
    var data: UnsafeMutablePointer<UInt8>?
    if let own = av_frame_get_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX),
      own.pointee.size >= matrixSize
    {
      data = own.pointee.data
    } else {
      var size = 0
      data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size)
      if size < matrixSize { data = nil }
    }
    guard let data else { return .upright }
    return data.withMemoryRebound(to: Int32.self, capacity: 9) { Orientation(displayMatrix: $0) }
  }

  private static func kind(of frame: UnsafeMutablePointer<AVFrame>) -> PictureConverter.Kind {
    let picture = frame.pointee
    let declared = AVPixelFormat(rawValue: picture.format)
    // The formats with a J say "full range" a second time.
    let plain: [Int32: AVPixelFormat] = [
      AV_PIX_FMT_YUVJ420P.rawValue: AV_PIX_FMT_YUV420P,
      AV_PIX_FMT_YUVJ422P.rawValue: AV_PIX_FMT_YUV422P,
      AV_PIX_FMT_YUVJ444P.rawValue: AV_PIX_FMT_YUV444P,
      AV_PIX_FMT_YUVJ440P.rawValue: AV_PIX_FMT_YUV440P,
      AV_PIX_FMT_YUVJ411P.rawValue: AV_PIX_FMT_YUV411P,
    ]
    let looksHighDefinition = picture.width >= 1280 || picture.height > 576
    return PictureConverter.Kind(
      width: picture.width, height: picture.height, format: plain[declared.rawValue] ?? declared,
      colorSpace: picture.colorspace == AVCOL_SPC_UNSPECIFIED
        ? (looksHighDefinition ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M) : picture.colorspace,
      fullRange: picture.color_range == AVCOL_RANGE_JPEG || plain[declared.rawValue] != nil,
      chromaLocation: picture.chroma_location)
  }
}

extension Rational {
  init(_ rational: AVRational) { self.init(rational.num, rational.den) }

  var libav: AVRational { AVRational(num: numerator, den: denominator) }
}

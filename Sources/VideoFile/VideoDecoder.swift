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
  /// transfer function and primaries stay as they are, but for high dynamic range; for that, for
  /// interlaced frames and for transparent ones see `UprightPictures`. Presentation times are the
  /// file's, shifted to start at 0, with missing ones filled in by the frame rate; they increase.
  /// The same file and options give the same pixels on the same kind of processor.
  /// - Parameter name: the file's name, for messages only.
  /// - Throws: `VideoFileError`.
  static func decode(descriptor: Int32, name: String, options: DecodingOptions) throws
    -> VideoClip
  {
    try naming(name) {
      var collector = ClipCollector(options: options, store: FrameArray())
      try decode(descriptor: descriptor, options: options, into: &collector)
      return VideoClip(try collector.clip())
    }
  }

  /// - Throws: `VideoFailure`, and what `sink` throws.
  static func decode(
    descriptor: Int32, options: DecodingOptions, into sink: inout some FrameSink,
    life: SignOfLife = SignOfLife()
  ) throws {
    try LibAVLog.listening {
      do {
        try Decoding(descriptor: descriptor, options: options, seeks: true, life: life)
          .run(into: &sink)
      } catch is Decoding.CannotSeek {
        // Nothing has gone to the sink yet.
        try Decoding(descriptor: descriptor, options: options, seeks: false, life: life)
          .run(into: &sink)
      }
    }
  }
}

/// One decoding, from the open file to the last frame.
private final class Decoding {
  private let options: DecodingOptions
  private let life: SignOfLife
  private let file: InputContainer
  private let stream: UnsafeMutablePointer<AVStream>
  private var decoder: UnsafeMutablePointer<AVCodecContext>?
  private var packet: UnsafeMutablePointer<AVPacket>?
  private var frame: UnsafeMutablePointer<AVFrame>?

  private var times: FrameTimes
  private var choice: ChosenFrames
  private var pictures: UprightPictures?
  /// The file's first frame's time, as the file has it.
  private var firstClaimed: Int64?
  /// When the clip's first frame is shown, in ticks from the file's first.
  private var clipStart: Int64 = 0
  private var lastChosen: Int64 = 0
  /// When the last frame that was read is shown, and when its end is.
  private var lastSeen: Int64 = 0
  private var end: Int64 = 0
  private var isDone = false
  /// Why part of the file could not be used; the first reason.
  private var damage: String?
  /// Packets that were read in a row from the beginning; `nil` after a jump.
  private var packetCount: Int32? = 0

  /// How far before the start to look for a frame to go on from, in seconds, the nearest first.
  private var margins: [Double]
  /// Whether the next frame must come before the start.
  private var isLanding = false

  /// The file has to be read from its beginning.
  struct CannotSeek: Error {}

  init(descriptor: Int32, options: DecodingOptions, seeks: Bool, life: SignOfLife) throws {
    (self.options, self.life) = (options, life)
    try options.checkChoice()
    file = try InputContainer(descriptor: descriptor)
    stream = try Self.videoStream(of: file, options: options)
    times = FrameTimes(
      timeBase: Rational(stream.pointee.time_base),
      frameRate: Self.frameRate(of: stream, in: file.context))
    choice = ChosenFrames(start: options.start, every: options.every, count: options.frames)
    // Farther than a day, `FrameTimes` takes for a clock that was set.
    let isWorthIt = (5...80_000).contains(options.start)
    margins = seeks && isWorthIt && file.isSeekable ? [2, 10, 60] : []
    (packet, frame) = (av_packet_alloc(), av_frame_alloc())
    decoder = try Self.openDecoder(for: stream, options: options)
  }

  deinit {
    av_packet_free(&packet)
    av_frame_free(&frame)
    avcodec_free_context(&decoder)
  }

  // MARK: Opening

  private static func videoStream(of file: InputContainer, options: DecodingOptions) throws
    -> UnsafeMutablePointer<AVStream>
  {
    try file.findStreams(maximumPixels: options.maximumPixels)
    // The cover of a song is no video.
    let candidates = file.streams(of: AVMEDIA_TYPE_VIDEO).filter {
      $0.pointee.disposition & AV_DISPOSITION_ATTACHED_PIC == 0
    }
    let best = av_find_best_stream(file.context, AVMEDIA_TYPE_VIDEO, -1, -1, nil, 0)
    guard let stream = candidates.first(where: { $0.pointee.index == best }) ?? candidates.first
    else {
      throw VideoFailure(.input, "has no video in it, only other streams (sound, subtitles)")
    }
    file.choose(stream)
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
    guard let decoder, let packet, frame != nil else {
      throw VideoFailure.outOfMemory
    }
    reading: while !isDone {
      let code = av_read_frame(file.context, packet)
      if code == stem_AVERROR_EOF {
        noteEnd()
        break reading
      }
      if code == -EAGAIN { continue }
      guard code >= 0 else {
        try note(code)
        break reading
      }
      defer { av_packet_unref(packet) }
      guard packet.pointee.stream_index == stream.pointee.index else { continue }
      packetCount? += 1
      if packet.pointee.flags & AV_PKT_FLAG_CORRUPT != 0, damage == nil {
        damage = "a packet is cut short"
      }
      // A bad packet is skipped: what comes after it may be good again.
      try note(avcodec_send_packet(decoder, packet))
      try receiveFrames(into: &sink)
    }
    if !isDone {
      try note(avcodec_send_packet(decoder, nil))
      try receiveFrames(into: &sink)
    }
    if isLanding { throw CannotSeek() }
    guard choice.chosen > 0 else { throw nothingChosen }
    var warnings = pictures?.notes ?? []
    if let damage {
      warnings.insert(
        "Part of the file is missing or damaged (\(damage)); \(choice.chosen) frames could be read.",
        at: 0)
    }
    try sink.finish(
      ClipTrailer(
        frameCount: choice.chosen, lastFrameDuration: max(1, end - lastChosen),
        isCutAfter: isDone, warnings: warnings))
  }

  private var nothingChosen: VideoFailure {
    guard end > 0 else {
      return VideoFailure(
        .input, "has no frame that can be decoded\(damage.map { ": \($0)" } ?? "")")
    }
    let last = String(format: "%.3f", Double(lastSeen) * times.timeBase.value)
    return VideoFailure(
      .input,
      "has no frame from its start at \(String(format: "%g", options.start)) s on: its last one is shown at \(last) s; choose a smaller 'start'"
    )
  }

  /// Remembers what was wrong; throws where going on makes no sense.
  private func note(_ code: Int32) throws {
    guard code < 0, code != stem_AVERROR_EOF, code != -EAGAIN else { return }
    if code == -ENOMEM { throw VideoFailure.outOfMemory }
    let failure = file.input.failure
    if failure != 0 {
      throw VideoFailure(.resources, "cannot be read: \(String(cString: strerror(failure)))")
    }
    if damage == nil { damage = LibAVLog.lastError ?? describe(libavError: code) }
  }

  /// An mp4's index says how many packets there should have been.
  private func noteEnd() {
    guard let packetCount, file.isSeekable, damage == nil,
      avformat_index_get_entries_count(stream) > packetCount
    else { return }
    damage = "it ends early"
  }

  private func receiveFrames(into sink: inout some FrameSink) throws {
    guard let frame else { return }
    while !isDone {
      let code = avcodec_receive_frame(decoder, frame)
      guard code >= 0 else { return try note(code) }
      defer { av_frame_unref(frame) }
      guard try take(frame, into: &sink) else { return }
    }
  }

  // MARK: Seeking

  /// Goes to a place before the start from which all frames up to it can be decoded.
  /// - Throws: `CannotSeek`
  private func seek(from first: Int64) throws {
    guard !margins.isEmpty else { throw CannotSeek() }
    let seconds = options.start - margins.removeFirst()
    let target = first + Int64(max(0, seconds) / times.timeBase.value)
    guard
      av_seek_frame(file.context, stream.pointee.index, target, AVSEEK_FLAG_BACKWARD) >= 0
    else { throw CannotSeek() }
    avcodec_flush_buffers(decoder)
    // What was in the way there was no damage to the clip.
    damage = nil
    packetCount = nil
    isLanding = true
  }

  /// Whether a frame may be used. The first frame after a jump must come before the start: those
  /// that come after it follow without a gap, while some before it may have been lost.
  private func hasLanded(at claimed: Int64?) throws -> Bool {
    guard let claimed, let firstClaimed else { throw CannotSeek() }
    guard Double(claimed - firstClaimed) * times.timeBase.value < options.start - 0.001 else {
      try seek(from: firstClaimed)
      return false
    }
    isLanding = false
    return true
  }

  // MARK: Delivering

  /// - Returns: whether further frames may be taken from the decoder as it stands.
  private func take(_ frame: UnsafeMutablePointer<AVFrame>, into sink: inout some FrameSink)
    throws -> Bool
  {
    life.workGoesOn()
    let best = frame.pointee.best_effort_timestamp
    let claimed = best == stem_AV_NOPTS_VALUE ? nil : best
    if isLanding, try !hasLanded(at: claimed) { return false }
    let isFirst = firstClaimed == nil
    let time = times.next(claimed)
    if isFirst, let claimed { firstClaimed = claimed }
    let duration = frame.pointee.pkt_duration
    lastSeen = time
    end = time + (duration > 0 && duration < 1 << 48 ? duration : times.nominalDuration)
    switch choice.choose(Double(time) * times.timeBase.value) {
    case .before:
      if isFirst, let claimed, !margins.isEmpty {
        try seek(from: claimed)
        return false
      }
    case .passed: break
    case .end:
      end = time
      isDone = true
    case .chosen:
      try deliver(frame, at: time, into: &sink)
      isDone = choice.isComplete
    }
    return true
  }

  private func deliver(
    _ frame: UnsafeMutablePointer<AVFrame>, at time: Int64, into sink: inout some FrameSink
  ) throws {
    try Self.checkPixels(
      width: Int(frame.pointee.width), height: Int(frame.pointee.height), options)
    let pictures = try pictures ?? begin(frame, at: time, into: &sink)
    guard choice.chosen <= options.maximumFrames else {
      throw VideoFailure(
        .limit,
        "has more than \(options.maximumFrames) frames, which is the limit (maximumFrames); cut it, or ask for fewer frames"
      )
    }
    let pixels = try pictures.picture(of: frame)
    lastChosen = time
    try sink.append(pts: time - clipStart, pixels: pixels)
  }

  private func begin(
    _ frame: UnsafeMutablePointer<AVFrame>, at time: Int64, into sink: inout some FrameSink
  ) throws -> UprightPictures {
    let orientation = self.orientation(of: frame)
    let ratio = Rational(av_guess_sample_aspect_ratio(file.context, stream, frame))
    let pixelAspect = ratio.isPositive && (1 / 16.0...16).contains(ratio.value) ? ratio.value : 1
    let (width, height) = (Int(frame.pointee.width), Int(frame.pointee.height))
    let upright =
      orientation.transposed
      ? (width: height, height: width, aspect: 1 / pixelAspect)
      : (width: width, height: height, aspect: pixelAspect)
    let size = try options.outputSize(
      sourceWidth: upright.width, sourceHeight: upright.height, pixelAspect: upright.aspect)
    let shown = DecodingOptions.shownSize(
      width: upright.width, height: upright.height, pixelAspect: upright.aspect)
    let pictures = try UprightPictures(
      width: size.width, height: size.height, orientation: orientation)
    self.pictures = pictures
    clipStart = time
    let claimed = frame.pointee.best_effort_timestamp
    let isKnown = claimed != stem_AV_NOPTS_VALUE
    let start = isKnown ? claimed : (firstClaimed ?? 0) + time
    let tags = ColorTags(frame.pointee)
    try sink.begin(
      ClipHeader(
        width: size.width, height: size.height, timeBase: times.timeBase,
        frameRate: times.frameRate.divided(by: options.every),
        expectedFrames: options.frames ?? Int(clamping: stream.pointee.nb_frames),
        colors: tags.isHighDynamicRange ? .highDefinition : tags,
        source: ClipSource(
          width: shown.width, height: shown.height,
          start: Double(start) * times.timeBase.value, isCutBefore: time > 0)))
    return pictures
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
}

extension Rational {
  /// The nearest fraction, where there is not just this one.
  func divided(by divisor: Int) -> Rational {
    var (numerator, denominator) = (Int32(0), Int32(0))
    av_reduce(
      &numerator, &denominator, Int64(self.numerator), Int64(self.denominator) * Int64(divisor),
      Int64(Int32.max))
    return numerator > 0 && denominator > 0 ? Rational(numerator, denominator) : self
  }

  init(_ rational: AVRational) { self.init(rational.num, rational.den) }

  var libav: AVRational { AVRational(num: numerator, den: denominator) }
}

import CLibAV

/// Sound that mp4 does not hold, or players do not play from there, as AAC.
final class EncodedSound: SoundTrack {
  let lead: Double
  private let decoder: SoundDecoder
  private var encoder: UnsafeMutablePointer<AVCodecContext>?
  private var resampler: OpaquePointer?
  /// What the resampler was made for.
  private var input: (format: Int32, rate: Int32, channels: Int32)?
  private var samples: OpaquePointer?
  private var frame = av_frame_alloc()
  private var packet = av_packet_alloc()
  /// Samples that the encoder has.
  private var sent: Int64 = 0
  private var end: Double?
  private var isDecoded = false
  private var isDraining = false

  private static let bitsPerChannel: Int64 = 96_000

  init(_ reader: SoundReader, source: SoundSource) throws {
    lead = source.lead(of: reader)
    decoder = try SoundDecoder(reader)
    let parameters: UnsafeMutablePointer<AVCodecParameters> = reader.stream.pointee.codecpar
    guard let codec = avcodec_find_encoder(AV_CODEC_ID_AAC),
      let encoder = avcodec_alloc_context3(codec)
    else {
      throw VideoFailure(.input, "this machine's libavcodec has no AAC encoder")
    }
    self.encoder = encoder
    encoder.pointee.sample_fmt = AV_SAMPLE_FMT_FLTP
    encoder.pointee.sample_rate = Self.rate(near: parameters.pointee.sample_rate, codec)
    // One channel stays one, 5.1 stays 5.1; what is not usual becomes stereo.
    let channels = parameters.pointee.ch_layout.nb_channels
    let isUsual = [1, 2, 6].contains(channels)
    av_channel_layout_default(&encoder.pointee.ch_layout, isUsual ? channels : 2)
    encoder.pointee.bit_rate = Self.bitsPerChannel * Int64(isUsual ? channels : 2)
    encoder.pointee.time_base = AVRational(num: 1, den: encoder.pointee.sample_rate)
    encoder.pointee.thread_count = 1
    encoder.pointee.flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT
    try Self.check(avcodec_open2(encoder, codec, nil))
    samples = av_audio_fifo_alloc(
      AV_SAMPLE_FMT_FLTP, encoder.pointee.ch_layout.nb_channels, encoder.pointee.frame_size)
    guard samples != nil, frame != nil, packet != nil else { throw VideoFailure.outOfMemory }
  }

  deinit {
    av_packet_free(&packet)
    av_frame_free(&frame)
    av_audio_fifo_free(samples)
    swr_free(&resampler)
    avcodec_free_context(&encoder)
  }

  /// The rate itself where the encoder has it.
  private static func rate(near rate: Int32, _ codec: UnsafePointer<AVCodec>) -> Int32 {
    var rates: [Int32] = []
    if var next = codec.pointee.supported_samplerates {
      while next.pointee != 0 {
        rates.append(next.pointee)
        next += 1
      }
    }
    return rates.contains(rate) || rates.isEmpty ? rate : 48_000
  }

  private static func check(_ code: Int32) throws {
    guard code < 0 else { return }
    if code == -ENOMEM { throw VideoFailure.outOfMemory }
    throw VideoFailure(
      .input, "it cannot be encoded: \(LibAVLog.lastError ?? VideoFile.describe(libavError: code))")
  }

  var timeBase: AVRational { encoder?.pointee.time_base ?? AVRational(num: 1, den: 48_000) }

  func describe(to stream: UnsafeMutablePointer<AVStream>) throws {
    try Self.check(avcodec_parameters_from_context(stream.pointee.codecpar, encoder))
    decoder.reader.describeLanguage(to: stream)
  }

  func cut(at end: Double) { self.end = end }

  func next() throws -> UnsafeMutablePointer<AVPacket>? {
    guard let encoder, let packet else { throw VideoFailure.outOfMemory }
    av_packet_unref(packet)
    let shift = Int64((lead * Double(encoder.pointee.sample_rate)).rounded())
    while true {
      let code = avcodec_receive_packet(encoder, packet)
      if code >= 0 {
        // The first sample is the one at the clip's start, or that much before it.
        packet.pointee.pts -= shift
        packet.pointee.dts -= shift
        return packet
      }
      if code == stem_AVERROR_EOF { return nil }
      guard code == stem_AVERROR_EAGAIN else {
        try Self.check(code)
        return nil
      }
      try feed(encoder, shift: shift)
    }
  }

  /// Gives the encoder a frame, or tells it that there are no more.
  private func feed(_ encoder: UnsafeMutablePointer<AVCodecContext>, shift: Int64) throws {
    guard let frame else { throw VideoFailure.outOfMemory }
    while !isDecoded, av_audio_fifo_size(samples) < encoder.pointee.frame_size {
      try decode(encoder, shift: shift)
    }
    let wanted = end.map {
      Int64(($0 * Double(encoder.pointee.sample_rate)).rounded()) + shift - sent
    }
    let count = min(
      Int64(av_audio_fifo_size(samples)), Int64(encoder.pointee.frame_size),
      max(0, wanted ?? .max))
    guard count > 0 else {
      guard !isDraining else { return }
      isDraining = true
      return try Self.check(avcodec_send_frame(encoder, nil))
    }
    av_frame_unref(frame)
    frame.pointee.nb_samples = Int32(count)
    frame.pointee.format = encoder.pointee.sample_fmt.rawValue
    frame.pointee.sample_rate = encoder.pointee.sample_rate
    try Self.check(
      av_channel_layout_copy(&frame.pointee.ch_layout, &encoder.pointee.ch_layout))
    try Self.check(av_frame_get_buffer(frame, 0))
    let read = withUnsafeMutablePointer(to: &frame.pointee.data) {
      $0.withMemoryRebound(to: UnsafeMutableRawPointer?.self, capacity: 8) {
        av_audio_fifo_read(samples, $0, Int32(count))
      }
    }
    guard read == count else { throw VideoFailure.outOfMemory }
    frame.pointee.pts = sent
    sent += count
    try Self.check(avcodec_send_frame(encoder, frame))
  }

  /// Takes some more samples out of the file, or finds that there are no more.
  private func decode(_ encoder: UnsafeMutablePointer<AVCodecContext>, shift: Int64) throws {
    guard let decoded = try decoder.next() else {
      isDecoded = true
      if resampler != nil { try resample(nil, encoder) }
      return
    }
    let channels = decoded.pointee.ch_layout.nb_channels
    if input.map({ $0 != (decoded.pointee.format, decoded.pointee.sample_rate, channels) }) ?? true
    {
      if resampler != nil { try resample(nil, encoder) }
      try makeResampler(for: decoded, encoder, shift: shift)
      input = (decoded.pointee.format, decoded.pointee.sample_rate, channels)
    }
    let time = decoded.pointee.best_effort_timestamp
    if time != stem_AV_NOPTS_VALUE {
      // Gaps are filled with silence, and what comes twice is left out.
      let rates = Int64(decoded.pointee.sample_rate) * Int64(encoder.pointee.sample_rate)
      let seconds = decoder.reader.timeBase
      let place = av_rescale(time, rates * Int64(seconds.numerator), Int64(seconds.denominator))
      swr_next_pts(resampler, place + shift * Int64(decoded.pointee.sample_rate))
    }
    try resample(decoded, encoder)
  }

  private func makeResampler(
    for decoded: UnsafeMutablePointer<AVFrame>, _ encoder: UnsafeMutablePointer<AVCodecContext>,
    shift: Int64
  ) throws {
    swr_free(&resampler)
    // A file that does not say where its speakers are has them in the usual places.
    var layout = AVChannelLayout()
    if decoded.pointee.ch_layout.order == AV_CHANNEL_ORDER_UNSPEC {
      av_channel_layout_default(&layout, decoded.pointee.ch_layout.nb_channels)
    } else {
      try Self.check(av_channel_layout_copy(&layout, &decoded.pointee.ch_layout))
    }
    defer { av_channel_layout_uninit(&layout) }
    try Self.check(
      swr_alloc_set_opts2(
        &resampler, &encoder.pointee.ch_layout, encoder.pointee.sample_fmt,
        encoder.pointee.sample_rate, &layout, AVSampleFormat(rawValue: decoded.pointee.format),
        decoded.pointee.sample_rate, 0, nil))
    let context = UnsafeMutableRawPointer(resampler)
    av_opt_set_double(context, "async", 1, 0)
    // Where what comes next belongs.
    let place = sent + Int64(av_audio_fifo_size(samples))
    av_opt_set_int(context, "first_pts", place, 0)
    try Self.check(swr_init(resampler))
  }

  /// - Parameter decoded: `nil` for what the resampler still has.
  private func resample(
    _ decoded: UnsafeMutablePointer<AVFrame>?, _ encoder: UnsafeMutablePointer<AVCodecContext>
  ) throws {
    guard let frame else { throw VideoFailure.outOfMemory }
    av_frame_unref(frame)
    frame.pointee.format = encoder.pointee.sample_fmt.rawValue
    frame.pointee.sample_rate = encoder.pointee.sample_rate
    try Self.check(
      av_channel_layout_copy(&frame.pointee.ch_layout, &encoder.pointee.ch_layout))
    let most = swr_get_out_samples(resampler, decoded?.pointee.nb_samples ?? 0)
    guard most > 0 else { return }
    frame.pointee.nb_samples = most
    try Self.check(av_frame_get_buffer(frame, 0))
    let count = withUnsafeMutablePointer(to: &frame.pointee.data) { output in
      output.withMemoryRebound(to: UnsafeMutablePointer<UInt8>?.self, capacity: 8) { output in
        guard let decoded else { return swr_convert(resampler, output, most, nil, 0) }
        return decoded.pointee.extended_data.withMemoryRebound(
          to: UnsafePointer<UInt8>?.self, capacity: 1
        ) { swr_convert(resampler, output, most, $0, decoded.pointee.nb_samples) }
      }
    }
    try Self.check(count)
    let written = withUnsafeMutablePointer(to: &frame.pointee.data) {
      $0.withMemoryRebound(to: UnsafeMutableRawPointer?.self, capacity: 8) {
        av_audio_fifo_write(samples, $0, count)
      }
    }
    guard written >= count else { throw VideoFailure.outOfMemory }
  }
}

import CLibAV
import Foundation

/// Encodes frames one by one into an mp4. Use it once, within `LibAVLog.listening`.
final class MovieWriter: FrameSink {
  private let options: EncodingOptions
  private let output: DescriptorStream
  private var container: UnsafeMutablePointer<AVFormatContext>?
  private var encoder: UnsafeMutablePointer<AVCodecContext>?
  private var packet = av_packet_alloc()
  private var header: ClipHeader?

  private var pictures: EncoderPictures?
  /// Waits for the next one's time, which says how long it is shown.
  private var pending: Picture?
  /// Of the frames inside the encoder, by presentation time.
  private var durations: [Int64: Int64] = [:]

  private let soundDescriptor: Int32?
  private let life: SignOfLife
  private var sound: (any SoundTrack)?
  /// Comes after the pictures that are written so far.
  private var nextSound: UnsafeMutablePointer<AVPacket>?
  /// How much later the pictures are shown, in the stream's ticks.
  private var delay: Int64 = 0
  /// What a person should know about how the clip was written, a sentence each.
  private(set) var warnings: [String] = []

  /// - Parameters:
  ///   - descriptor: open for reading and writing; it stays the caller's.
  ///   - sound: of the file whose sound the options ask for; it stays the caller's, too.
  init(
    descriptor: Int32, options: EncodingOptions = EncodingOptions(), sound: Int32? = nil,
    life: SignOfLife = SignOfLife()
  ) throws {
    (self.options, soundDescriptor, self.life) = (options, sound, life)
    output = try DescriptorStream(descriptor: descriptor, writable: true)
  }

  deinit {
    av_packet_free(&packet)
    avcodec_free_context(&encoder)
    avformat_free_context(container)
  }

  func begin(_ header: ClipHeader) throws {
    try options.check(width: header.width, height: header.height)
    guard header.timeBase.isPositive, header.frameRate.isPositive else {
      throw VideoFailure(.input, "cannot be written: it has no time base")
    }
    self.header = header
    let pictures = try EncoderPictures(header, options: options)
    self.pictures = pictures

    let (encoder, codec) = try options.format.makeEncoder(quality: options.quality)
    self.encoder = encoder
    pictures.describe(to: encoder)
    encoder.pointee.time_base = header.timeBase.libav
    encoder.pointee.framerate = header.frameRate.libav
    encoder.pointee.flags |= AV_CODEC_FLAG_GLOBAL_HEADER
    try check(avcodec_open2(encoder, codec, nil))
    do {
      if let source = options.sound, let soundDescriptor {
        sound = try source.track(descriptor: soundDescriptor, life: life)
      }
      try openContainer(encoder, header, sound)
    } catch let failure as VideoFailure where options.sound != nil {
      leaveOutSound(failure)
      avio_seek(output.context, 0, SEEK_SET)
      try openContainer(encoder, header, nil)
    }
    let lead = sound?.lead ?? 0
    if let stream = container?.pointee.streams[0] {
      delay = Int64((lead / Rational(stream.pointee.time_base).value).rounded())
    }
  }

  /// The clip is worth more than its sound.
  private func leaveOutSound(_ failure: VideoFailure) {
    warnings.append("The sound is left out: \(failure.problem).")
    sound = nil
  }

  private func openContainer(
    _ encoder: UnsafeMutablePointer<AVCodecContext>, _ header: ClipHeader,
    _ sound: (any SoundTrack)?
  ) throws {
    avformat_free_context(container)
    container = nil
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
    if let sound {
      guard let stream = avformat_new_stream(container, nil) else { throw VideoFailure.outOfMemory }
      try sound.describe(to: stream)
      stream.pointee.time_base = sound.timeBase
      // Some kinds of sound (FLAC) came into the format late.
      container.pointee.strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL
    }
    var settings: OpaquePointer?
    defer { av_dict_free(&settings) }
    av_dict_set(&settings, "movflags", "+faststart", 0)
    try check(avformat_write_header(container, &settings))
  }

  func append(pts: Int64, pixels: UnsafeRawBufferPointer) throws {
    guard let pictures else { throw EncoderPictures.mismatch }
    let picture = try pictures.picture(of: pixels)
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
    if let source = options.sound, source.isCutAfter, let header {
      let ticks = pending.frame.pointee.pts + trailer.lastFrameDuration
      sound?.cut(at: Double(ticks) * header.timeBase.value)
    }
    try writeSound(until: nil)
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
      try writeSound(until: Double(packet.pointee.dts) * Rational(stream.pointee.time_base).value)
      packet.pointee.pts += delay
      packet.pointee.dts += delay
      try check(av_write_frame(container, packet))
    }
  }

  /// Writes the sound that comes before a picture, so that players find both near each other.
  /// - Parameter time: in seconds from the clip's first frame; `nil` for all that is left.
  private func writeSound(until time: Double?) throws {
    guard let container, let sound, let stream = container.pointee.streams[1] else { return }
    do {
      while let packet = try nextSound ?? sound.next() {
        let seconds = Double(packet.pointee.dts) * Rational(sound.timeBase).value
        nextSound = packet
        if let time, seconds >= time { return }
        nextSound = nil
        packet.pointee.stream_index = stream.pointee.index
        av_packet_rescale_ts(packet, sound.timeBase, stream.pointee.time_base)
        let shift = Int64((sound.lead / Rational(stream.pointee.time_base).value).rounded())
        packet.pointee.pts += shift
        packet.pointee.dts += shift
        let code = av_write_frame(container, packet)
        if output.failure != 0 { try check(code) }
        guard code >= 0 else {
          throw VideoFailure(.input, LibAVLog.lastError ?? describe(libavError: code))
        }
      }
    } catch let failure as VideoFailure where output.failure == 0 {
      warnings.append("The sound ends early: \(failure.problem).")
    }
    self.sound = nil
  }

  private func check(_ code: Int32) throws { try output.check(writing: code) }
}

extension DescriptorStream {
  /// - Throws: `VideoFailure` for an error code of libav that came up while this was written.
  func check(writing code: Int32) throws {
    guard code < 0 else { return }
    if failure != 0 {
      throw VideoFailure(.resources, "cannot be written: \(String(cString: strerror(failure)))")
    }
    if code == -ENOMEM { throw VideoFailure.outOfMemory }
    throw VideoFailure(
      .input, "cannot be written: \(LibAVLog.lastError ?? describe(libavError: code))")
  }
}

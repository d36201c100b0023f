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

  /// `descriptor`: open for reading and writing; it stays the caller's.
  init(descriptor: Int32, options: EncodingOptions = EncodingOptions()) throws {
    self.options = options
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

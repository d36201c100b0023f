import CLibAV

/// The samples of a file's sound. Use it within `LibAVLog.listening`.
final class SoundDecoder {
  let reader: SoundReader
  private var decoder: UnsafeMutablePointer<AVCodecContext>?
  private var frame = av_frame_alloc()
  private var isDraining = false

  /// - Throws: `VideoFailure` where there is no decoder.
  init(_ reader: SoundReader) throws {
    self.reader = reader
    let parameters: UnsafeMutablePointer<AVCodecParameters> = reader.stream.pointee.codecpar
    guard let codec = avcodec_find_decoder(parameters.pointee.codec_id) else {
      throw VideoFailure(
        .input,
        "it is coded in \(String(cString: avcodec_get_name(parameters.pointee.codec_id))), for which there is no decoder"
      )
    }
    decoder = avcodec_alloc_context3(codec)
    guard let decoder, frame != nil else { throw VideoFailure.outOfMemory }
    var code = avcodec_parameters_to_context(decoder, parameters)
    decoder.pointee.pkt_timebase = reader.stream.pointee.time_base
    decoder.pointee.thread_count = 1
    if code >= 0 { code = avcodec_open2(decoder, codec, nil) }
    guard code >= 0 else {
      if code == -ENOMEM { throw VideoFailure.outOfMemory }
      throw VideoFailure(
        .input, "it cannot be decoded: \(LibAVLog.lastError ?? describe(libavError: code))")
    }
  }

  deinit {
    av_frame_free(&frame)
    avcodec_free_context(&decoder)
  }

  /// The next samples, valid until the next call; their time is the clip's, in the reader's ticks.
  /// What is damaged is passed over.
  /// - Returns: `nil` after the last ones.
  func next() throws -> UnsafeMutablePointer<AVFrame>? {
    guard let frame else { throw VideoFailure.outOfMemory }
    av_frame_unref(frame)
    while true {
      let code = avcodec_receive_frame(decoder, frame)
      if code >= 0 {
        if frame.pointee.nb_samples > 0, frame.pointee.sample_rate > 0 { return frame }
        av_frame_unref(frame)
        continue
      }
      if code == -ENOMEM { throw VideoFailure.outOfMemory }
      if isDraining { return nil }
      if let packet = try reader.next() {
        if avcodec_send_packet(decoder, packet) == -ENOMEM { throw VideoFailure.outOfMemory }
      } else {
        isDraining = true
        avcodec_send_packet(decoder, nil)
      }
    }
  }
}

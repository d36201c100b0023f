import CLibAV

/// Writes a clip's one frame as a picture. Use it once, within `LibAVLog.listening`.
final class PictureWriter: FrameSink {
  private let options: EncodingOptions
  private let output: DescriptorStream
  private var encoder: UnsafeMutablePointer<AVCodecContext>?
  private var packet = av_packet_alloc()
  private var pictures: EncoderPictures?
  private var isWritten = false

  /// `descriptor`: open for writing; it stays the caller's.
  init(descriptor: Int32, options: EncodingOptions) throws {
    self.options = options
    output = try DescriptorStream(descriptor: descriptor, writable: true)
  }

  deinit {
    av_packet_free(&packet)
    avcodec_free_context(&encoder)
  }

  func begin(_ header: ClipHeader) throws {
    try options.check(width: header.width, height: header.height)
    let pictures = try EncoderPictures(header, options: options)
    self.pictures = pictures
    let (encoder, codec) = try options.format.makeEncoder(quality: options.quality)
    self.encoder = encoder
    pictures.describe(to: encoder)
    encoder.pointee.time_base = AVRational(num: 1, den: 25)
    try output.check(writing: avcodec_open2(encoder, codec, nil))
  }

  func append(pts: Int64, pixels: UnsafeRawBufferPointer) throws {
    guard let pictures, let encoder, let packet, !isWritten else { throw EncoderPictures.mismatch }
    let picture = try pictures.picture(of: pixels)
    picture.frame.pointee.pts = 0
    picture.frame.pointee.quality = encoder.pointee.global_quality
    try output.check(writing: avcodec_send_frame(encoder, picture.frame))
    try output.check(writing: avcodec_send_frame(encoder, nil))
    try output.check(writing: avcodec_receive_packet(encoder, packet))
    avio_write(output.context, packet.pointee.data, packet.pointee.size)
    av_packet_unref(packet)
    isWritten = true
  }

  func finish(_ trailer: ClipTrailer) throws {
    guard isWritten else {
      throw VideoFailure(.input, "cannot be written: the clip has no frames")
    }
    avio_flush(output.context)
    try output.check(writing: output.context?.pointee.error ?? 0)
  }
}

import CLibAV
import Foundation

/// A stranger's file, opened by libav through a descriptor, and nothing else with it.
final class InputContainer {
  let input: DescriptorStream
  let context: UnsafeMutablePointer<AVFormatContext>

  /// - Parameter descriptor: of a regular file; it stays open.
  /// - Throws: `VideoFailure` where the file is no container that is allowed.
  init(descriptor: Int32) throws {
    let size = lseek(descriptor, 0, SEEK_END)
    guard size >= 0 else {
      throw VideoFailure(.resources, "cannot be read: \(String(cString: strerror(errno)))")
    }
    guard size > 0 else { throw VideoFailure(.input, "is empty") }
    input = try DescriptorStream(descriptor: descriptor, writable: false)
    context = try Self.open(input)
  }

  deinit {
    var closed: UnsafeMutablePointer<AVFormatContext>? = context
    avformat_close_input(&closed)
  }

  private static func open(_ input: DescriptorStream) throws -> UnsafeMutablePointer<
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

  // MARK: Streams

  /// Reads as far as is needed to know all streams.
  /// - Parameter maximumPixels: that a decoder may be asked for meanwhile.
  /// - Throws: `VideoFailure` where memory is short.
  func findStreams(maximumPixels: Int) throws {
    let before = Int(context.pointee.nb_streams)
    var settings = [OpaquePointer?](repeating: nil, count: before)
    for index in settings.indices {
      av_dict_set_int(&settings[index], "max_pixels", Int64(maximumPixels), 0)
    }
    let code = settings.withUnsafeMutableBufferPointer {
      avformat_find_stream_info(context, $0.baseAddress)
    }
    for index in settings.indices { av_dict_free(&settings[index]) }
    if code == -ENOMEM { throw VideoFailure.outOfMemory }
  }

  func streams(of type: AVMediaType) -> [UnsafeMutablePointer<AVStream>] {
    (0..<Int(context.pointee.nb_streams)).compactMap { context.pointee.streams[$0] }.filter {
      $0.pointee.codecpar.pointee.codec_type == type
    }
  }

  /// From here on, packets of other streams are passed over.
  func choose(_ stream: UnsafeMutablePointer<AVStream>) {
    for index in 0..<Int(context.pointee.nb_streams) where context.pointee.streams[index] != stream
    {
      context.pointee.streams[index]?.pointee.discard = AVDISCARD_ALL
    }
  }

  /// Whether its index and its times can be relied on for going somewhere in its middle: recordings
  /// of broadcasts, joined ones above all, have clocks that start anew.
  var isSeekable: Bool {
    ["mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"].contains(
      String(cString: context.pointee.iformat.pointee.name))
  }
}

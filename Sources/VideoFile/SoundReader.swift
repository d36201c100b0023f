import CLibAV

/// The packets of a file's first sound track, or of the one that is marked as default, on the clock
/// of a clip: at 0 the clip's first frame is shown. Use it within `LibAVLog.listening`.
final class SoundReader {
  let stream: UnsafeMutablePointer<AVStream>
  /// How long it sounds before the clip's first frame, in seconds; 0 where it begins after it.
  private(set) var lead = 0.0
  private let file: InputContainer
  private let source: SoundSource
  private let life: SignOfLife
  private var packet = av_packet_alloc()
  private var times: FrameTimes
  /// From the sound's first packet to the clip's first frame, in ticks.
  private var offset: Int64 = 0
  /// Read ahead of the others.
  private var first: UnsafeMutablePointer<AVPacket>?

  /// There is none in the file.
  struct NoSound: Error {}
  private struct CannotSeek: Error {}

  /// - Parameter descriptor: of the file; it stays open.
  /// - Throws: `NoSound`, `VideoFailure`.
  static func open(descriptor: Int32, source: SoundSource, life: SignOfLife = SignOfLife()) throws
    -> SoundReader
  {
    do {
      return try SoundReader(descriptor: descriptor, source: source, seeks: true, life: life)
    } catch is CannotSeek {
      return try SoundReader(descriptor: descriptor, source: source, seeks: false, life: life)
    }
  }

  private init(descriptor: Int32, source: SoundSource, seeks: Bool, life: SignOfLife) throws {
    (self.source, self.life) = (source, life)
    file = try InputContainer(descriptor: descriptor)
    // Pictures are not looked at.
    try file.findStreams(maximumPixels: 1)
    let streams = file.streams(of: AVMEDIA_TYPE_AUDIO)
    guard
      let stream = streams.first(where: {
        $0.pointee.disposition & AV_DISPOSITION_DEFAULT != 0
      }) ?? streams.first
    else { throw NoSound() }
    self.stream = stream
    file.choose(stream)
    let parameters = stream.pointee.codecpar.pointee
    guard parameters.sample_rate > 0, parameters.ch_layout.nb_channels > 0 else {
      throw VideoFailure(.input, "its sample rate or channels are unknown")
    }
    let samples = parameters.frame_size > 0 ? parameters.frame_size : 1024
    times = FrameTimes(
      timeBase: Rational(stream.pointee.time_base),
      frameRate: Rational(parameters.sample_rate, samples))

    guard let packet = try read() else { throw NoSound() }
    let claimed = Self.time(of: packet) ?? 0
    let start = Int64((source.start / timeBase.value).rounded())
    offset = claimed &- start
    first = packet
    lead = max(0, Double(0 &- offset) * timeBase.value)
    if seeks, source.isCutBefore, (30...80_000).contains(lead), file.isSeekable {
      try seek(to: start - Int64(10 / timeBase.value))
    }
  }

  deinit {
    av_packet_free(&packet)
    av_packet_free(&first)
  }

  /// Seconds a tick.
  var timeBase: Rational { Rational(stream.pointee.time_base) }

  /// The next packet, with the clip's times; it is valid until the next call.
  /// - Returns: `nil` after the last one.
  func next() throws -> UnsafeMutablePointer<AVPacket>? {
    guard let packet else { throw VideoFailure.outOfMemory }
    av_packet_unref(packet)
    if first != nil {
      av_packet_move_ref(packet, first)
      av_packet_free(&first)
    } else if let read = try read() {
      av_packet_move_ref(packet, read)
      var unused: UnsafeMutablePointer<AVPacket>? = read
      av_packet_free(&unused)
    } else {
      return nil
    }
    let time = times.next(Self.time(of: packet)) &+ offset
    packet.pointee.pts = time
    packet.pointee.dts = time
    return packet
  }

  private static func time(of packet: UnsafeMutablePointer<AVPacket>) -> Int64? {
    [packet.pointee.pts, packet.pointee.dts].first { $0 != stem_AV_NOPTS_VALUE }
  }

  /// - Returns: `nil` at the end, or where the file is damaged for good.
  private func read() throws -> UnsafeMutablePointer<AVPacket>? {
    guard let packet = av_packet_alloc() else { throw VideoFailure.outOfMemory }
    while true {
      life.workGoesOn()
      let code = av_read_frame(file.context, packet)
      if code == -EAGAIN { continue }
      guard code >= 0 else {
        var unused: UnsafeMutablePointer<AVPacket>? = packet
        av_packet_free(&unused)
        if code == -ENOMEM { throw VideoFailure.outOfMemory }
        return nil
      }
      if packet.pointee.stream_index == stream.pointee.index, packet.pointee.size > 0 {
        return packet
      }
      av_packet_unref(packet)
    }
  }

  private func seek(to target: Int64) throws {
    guard
      av_seek_frame(file.context, stream.pointee.index, target, AVSEEK_FLAG_BACKWARD) >= 0,
      let first, let packet = try read()
    else { throw CannotSeek() }
    // The clock begins where the track does.
    _ = times.next(Self.time(of: first))
    av_packet_free(&self.first)
    self.first = packet
    guard let time = Self.time(of: packet), time <= target else { throw CannotSeek() }
  }
}

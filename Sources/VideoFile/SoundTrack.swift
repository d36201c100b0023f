import CLibAV

/// Sound on its way into a movie.
protocol SoundTrack: AnyObject {
  /// How long the pictures are shown later, in seconds, so that none of what sounds before them is
  /// lost.
  var lead: Double { get }
  /// Of the packets.
  var timeBase: AVRational { get }

  /// Says what the packets are.
  func describe(to stream: UnsafeMutablePointer<AVStream>) throws

  /// The next packet, valid until the next call; `nil` after the last one. At 0 the clip's first
  /// frame is shown.
  func next() throws -> UnsafeMutablePointer<AVPacket>?

  /// The clip ends there, in seconds, and the sound with it.
  func cut(at end: Double)
}

extension SoundSource {
  /// - Parameter descriptor: of the file; it stays open.
  /// - Returns: `nil` where the file has no sound.
  /// - Throws: `VideoFailure` whose problem completes "the sound is left out: …".
  func track(descriptor: Int32, life: SignOfLife) throws -> (any SoundTrack)? {
    do {
      let probe = try SoundDecoder(
        SoundReader.open(descriptor: descriptor, source: self, life: life))
      // Nobody hears what cannot be decoded, copied or not.
      guard try probe.next() != nil else {
        throw VideoFailure(
          .input,
          "nothing of it can be decoded\(LibAVLog.lastError.map { ": \($0)" } ?? "")")
      }
      let reader = try SoundReader.open(descriptor: descriptor, source: self, life: life)
      return CopiedSound.takes(reader.stream)
        ? try CopiedSound(reader, source: self) : try EncodedSound(reader, source: self)
    } catch is SoundReader.NoSound {
      return nil
    }
  }

  /// What sounds before the pictures is worth showing them later from this time on; less is what an
  /// encoder or a broadcaster leaves there.
  private static let shortestLead = 0.1

  func lead(of reader: SoundReader) -> Double {
    !isCutBefore && reader.lead >= Self.shortestLead ? reader.lead : 0
  }
}

/// Sound as the file has it.
final class CopiedSound: SoundTrack {
  let lead: Double
  private let reader: SoundReader
  /// Seconds that a decoder gets before what is heard, so that it is right from there on; the movie
  /// says that they are not played.
  private static let preroll = 0.1
  private var end: Double?
  private var rescaling = stem_AV_NOPTS_VALUE
  private var last: Int64?

  init(_ reader: SoundReader, source: SoundSource) throws {
    self.reader = reader
    lead = source.lead(of: reader)
  }

  /// Whether mp4 holds such sound and players play it from there.
  static func takes(_ stream: UnsafeMutablePointer<AVStream>) -> Bool {
    let parameters = stream.pointee.codecpar.pointee
    switch parameters.codec_id {
    // Without a description it comes in ADTS frames, which the muxer takes apart.
    case AV_CODEC_ID_AAC, AV_CODEC_ID_AC3, AV_CODEC_ID_EAC3: return true
    case AV_CODEC_ID_MP3: return parameters.sample_rate >= 16_000
    case AV_CODEC_ID_OPUS, AV_CODEC_ID_FLAC, AV_CODEC_ID_ALAC:
      return parameters.extradata_size > 0
    default: return false
    }
  }

  private var parameters: UnsafeMutablePointer<AVCodecParameters> {
    reader.stream.pointee.codecpar
  }

  var timeBase: AVRational { AVRational(num: 1, den: parameters.pointee.sample_rate) }

  func describe(to stream: UnsafeMutablePointer<AVStream>) throws {
    guard avcodec_parameters_copy(stream.pointee.codecpar, parameters) >= 0 else {
      throw VideoFailure.outOfMemory
    }
    // The other container's.
    stream.pointee.codecpar.pointee.codec_tag = 0
    reader.describeLanguage(to: stream)
  }

  func next() throws -> UnsafeMutablePointer<AVPacket>? {
    while let packet = try reader.next() {
      let seconds = Double(packet.pointee.dts) * reader.timeBase.value
      let length = max(0, Double(packet.pointee.duration) * reader.timeBase.value)
      if let end, seconds >= end { return nil }
      if lead == 0, seconds + length <= -Self.preroll { continue }
      let samples =
        av_get_audio_frame_duration2(parameters, packet.pointee.size)
      var time = av_rescale_delta(
        reader.stream.pointee.time_base, packet.pointee.dts, timeBase,
        samples > 0 ? samples : 1, &rescaling, timeBase)
      if let last { time = max(time, last + 1) }
      last = time
      packet.pointee.duration = av_rescale_q(
        packet.pointee.duration, reader.stream.pointee.time_base, timeBase)
      (packet.pointee.pts, packet.pointee.dts) = (time, time)
      return packet
    }
    return nil
  }

  func cut(at end: Double) { self.end = end }
}

extension SoundReader {
  func describeLanguage(to other: UnsafeMutablePointer<AVStream>) {
    guard let entry = av_dict_get(stream.pointee.metadata, "language", nil, 0) else { return }
    av_dict_set(&other.pointee.metadata, "language", entry.pointee.value, 0)
  }
}

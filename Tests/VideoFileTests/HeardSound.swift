import CLibAV
import Foundation

@testable import VideoFile

/// The sound of a file, decoded in this process.
struct HeardSound {
  var codec: String
  var rate: Int
  var channels: Int
  /// Seconds on the file's clock.
  var begins: Double
  var ends: Double
  /// When it is loud for the first time.
  var onset: Double?

  /// - Returns: `nil` where there is no sound.
  init?(_ path: String) throws {
    let file = try openVideo(path: path)
    let heard: HeardSound? = try LibAVLog.listening {
      do {
        let reader = try SoundReader.open(
          descriptor: file.descriptor, source: SoundSource(path: path))
        return try HeardSound(reader)
      } catch is SoundReader.NoSound { return nil }
    }
    guard let heard else { return nil }
    self = heard
  }

  private init(_ reader: SoundReader) throws {
    let parameters: UnsafeMutablePointer<AVCodecParameters> = reader.stream.pointee.codecpar
    codec = String(cString: avcodec_get_name(parameters.pointee.codec_id))
    (rate, channels) = (0, 0)
    (begins, ends) = (.infinity, 0)
    let decoder = try SoundDecoder(reader)
    while let frame = try decoder.next() {
      let (count, rate) = (Int(frame.pointee.nb_samples), Int(frame.pointee.sample_rate))
      (self.rate, channels) = (rate, Int(frame.pointee.ch_layout.nb_channels))
      let time = Double(frame.pointee.best_effort_timestamp) * reader.timeBase.value
      begins = min(begins, time)
      ends = time + Double(count) / Double(rate)
      if onset == nil, let index = (0..<count).first(where: { Self.isLoud(frame, $0) }) {
        onset = time + Double(index) / Double(rate)
      }
    }
  }

  private static func isLoud(_ frame: UnsafeMutablePointer<AVFrame>, _ index: Int) -> Bool {
    guard let data = frame.pointee.data.0.map(UnsafeRawPointer.init) else { return false }
    let stride =
      av_sample_fmt_is_planar(AVSampleFormat(rawValue: frame.pointee.format)) != 0
      ? 1 : Int(frame.pointee.ch_layout.nb_channels)
    return switch AVSampleFormat(rawValue: frame.pointee.format) {
    case AV_SAMPLE_FMT_FLT, AV_SAMPLE_FMT_FLTP:
      abs(data.load(fromByteOffset: 4 * index * stride, as: Float.self)) > 0.05
    case AV_SAMPLE_FMT_S16, AV_SAMPLE_FMT_S16P:
      abs(Int(data.load(fromByteOffset: 2 * index * stride, as: Int16.self))) > 1600
    case AV_SAMPLE_FMT_S32, AV_SAMPLE_FMT_S32P:
      abs(Int(data.load(fromByteOffset: 4 * index * stride, as: Int32.self))) > 100_000_000
    default: false
    }
  }
}

import CLibAV
import Foundation

/// Turns a clip's RGB frames into what an encoder takes, scaled on the way.
final class EncoderPictures {
  private let header: ClipHeader
  private let format: AVPixelFormat
  private let size: EncodingOptions.Size
  /// Padded rows for libswscale to read from.
  private let source: Picture
  private let converter: PictureConverter

  static let mismatch = VideoFailure(
    .input, "cannot be written: a frame does not match its header")

  init(_ header: ClipHeader, options: EncodingOptions) throws {
    self.header = header
    format = options.format.pixelFormat
    size = options.outputSize(width: header.width, height: header.height)
    source = try Picture(width: header.width, height: header.height, format: AV_PIX_FMT_RGB24)
    // What is enlarged is to be as sharp as it can be.
    let isEnlarged = size.width > header.width || size.height > header.height
    converter = PictureConverter(
      flags: Int32(isEnlarged ? SWS_LANCZOS : SWS_BICUBIC)
        | Int32(SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INP))
  }

  /// Says what the pictures are like.
  func describe(to encoder: UnsafeMutablePointer<AVCodecContext>) {
    encoder.pointee.width = Int32(size.width)
    encoder.pointee.height = Int32(size.height)
    encoder.pointee.sample_aspect_ratio = AVRational(num: 1, den: 1)
    guard isYUV else { return }
    encoder.pointee.colorspace = target.colorSpace
    encoder.pointee.color_primaries = AVColorPrimaries(rawValue: UInt32(colors.primaries))
    encoder.pointee.color_trc = AVColorTransferCharacteristic(rawValue: UInt32(colors.transfer))
    encoder.pointee.color_range = target.fullRange ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG
    encoder.pointee.chroma_sample_location = target.chromaLocation
  }

  private var isYUV: Bool { format != AV_PIX_FMT_RGB24 }

  /// What the pictures are coded in.
  private var colors: ColorTags {
    // JFIF knows nothing else.
    if format == AV_PIX_FMT_YUVJ444P {
      return ColorTags(primaries: 1, transfer: 1, matrix: 6, isFullRange: true)
    }
    return header.colors.coded(width: size.width, height: size.height)
  }

  private var target: PictureConverter.Kind {
    let (width, height) = (Int32(size.width), Int32(size.height))
    guard isYUV else {
      return PictureConverter.Kind(width: width, height: height, format: format)
    }
    return PictureConverter.Kind(
      width: width, height: height,
      // `fullRange` says what the J says.
      format: format == AV_PIX_FMT_YUVJ444P ? AV_PIX_FMT_YUV444P : format,
      colorSpace: AVColorSpace(rawValue: UInt32(colors.matrix)),
      fullRange: colors.isFullRange == true, chromaLocation: AVCHROMA_LOC_LEFT)
  }

  /// A picture without a time.
  /// - Parameter pixels: as many as the header says.
  func picture(of pixels: UnsafeRawBufferPointer) throws -> Picture {
    guard let rows = source.frame.pointee.data.0, let base = pixels.baseAddress,
      pixels.count == header.bytesPerFrame
    else { throw Self.mismatch }
    for y in 0..<header.height {
      memcpy(
        rows + y * Int(source.frame.pointee.linesize.0), base + y * header.width * 3,
        header.width * 3)
    }
    let picture = try Picture(width: size.width, height: size.height, format: format)
    try converter.convert(
      source.frame,
      of: PictureConverter.Kind(
        width: Int32(header.width), height: Int32(header.height), format: AV_PIX_FMT_RGB24),
      into: picture.frame, of: target)
    return picture
  }
}

import CLibAV
import Foundation

/// Makes RGB pictures of decoded ones: scaled, turned upright, whole.
///
/// Of an interlaced picture the field that is shown first is taken, half of its lines, so that
/// nothing is in two places at once. What is seen through is seen on black, as in players. High
/// dynamic range becomes the usual one (`ToneMapping`); all other colours keep their primaries and
/// transfer.
final class UprightPictures {
  let width: Int
  let height: Int
  private let orientation: Orientation
  private let converter = PictureConverter(flags: Int32(SWS_BICUBIC))
  private var scaled: Picture?
  private var toneMapping: ToneMapping?
  /// Not an array, which ends the process where there is no memory for it.
  private let upright: UnsafeMutableRawBufferPointer

  private(set) var sawInterlaced = false
  private(set) var sawTransparent = false
  private(set) var sawHighDynamicRange = false
  private(set) var sawDeepColor = false

  init(width: Int, height: Int, orientation: Orientation) throws {
    (self.width, self.height, self.orientation) = (width, height, orientation)
    guard let memory = malloc(width * height * 3) else { throw VideoFailure.outOfMemory }
    upright = UnsafeMutableRawBufferPointer(start: memory, count: width * height * 3)
  }

  deinit { free(upright.baseAddress) }

  /// What a person should know about how pictures were read.
  var notes: [String] {
    var notes: [String] = []
    if sawInterlaced {
      notes.append(
        "The clip is interlaced: the first field of each frame is edited, half of its lines.")
    }
    if sawTransparent { notes.append("The clip is transparent in places: they are black.") }
    if sawHighDynamicRange {
      notes.append(
        "The clip has a high dynamic range (HDR): it is edited in the usual one, BT.709.")
    } else if sawDeepColor {
      notes.append("The clip has more than 8 bits a color: the edit has 8.")
    }
    return notes
  }

  /// - Returns: width × height × 3 bytes, valid until the next call.
  func picture(of frame: UnsafeMutablePointer<AVFrame>) throws -> UnsafeRawBufferPointer {
    var field: UnsafeMutablePointer<AVFrame>?
    defer { av_frame_free(&field) }
    if frame.pointee.interlaced_frame != 0, frame.pointee.height > 1 {
      field = try Self.firstField(of: frame)
      sawInterlaced = true
    }
    let frame = field ?? frame
    let kind = PictureConverter.Kind(frame.pointee)
    let colors = ColorTags(frame.pointee)
    let isTransparent = kind.isTransparent
    if kind.isDeep { sawDeepColor = true }
    let format =
      colors.isHighDynamicRange
      ? AV_PIX_FMT_RGBA64LE : isTransparent ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24
    let stored =
      orientation.transposed ? (width: height, height: width) : (width: width, height: height)
    if scaled?.frame.pointee.format != format.rawValue {
      scaled = try Picture(width: stored.width, height: stored.height, format: format)
    }
    guard let picture = scaled?.frame, let pixels = picture.pointee.data.0,
      let target = upright.baseAddress?.assumingMemoryBound(to: UInt8.self)
    else { throw VideoFailure.outOfMemory }
    try converter.convert(
      frame, of: kind, into: picture,
      of: PictureConverter.Kind(
        width: Int32(stored.width), height: Int32(stored.height), format: format))
    let stride = Int(picture.pointee.linesize.0)
    let rows = (0..<stored.height).lazy.map { pixels + $0 * stride }
    // Both leave three bytes a pixel in the same rows.
    if colors.isHighDynamicRange {
      let mapping = toneMapping ?? ToneMapping(transfer: colors.transfer)
      toneMapping = mapping
      for row in rows { mapping.map(row, pixels: stored.width) }
      sawHighDynamicRange = true
    } else if isTransparent {
      putOnBlack(rows, pixels: stored.width)
    }
    orientation.turn(pixels, stride: stride, into: target, width: width, height: height)
    return UnsafeRawBufferPointer(upright)
  }

  /// Every second line, from the first or the second one on; refers to the same picture.
  private static func firstField(of frame: UnsafeMutablePointer<AVFrame>) throws
    -> UnsafeMutablePointer<AVFrame>
  {
    guard let field = av_frame_clone(frame) else { throw VideoFailure.outOfMemory }
    let isSecondLine = frame.pointee.top_field_first == 0
    field.pointee.height /= 2
    func everySecondLine(
      _ data: WritableKeyPath<AVFrame, UnsafeMutablePointer<UInt8>?>,
      _ stride: WritableKeyPath<AVFrame, Int32>
    ) {
      let step = field.pointee[keyPath: stride]
      // A palette lies where another plane would, and has no lines.
      guard step != 0, let start = field.pointee[keyPath: data] else { return }
      if isSecondLine { field.pointee[keyPath: data] = start + Int(step) }
      field.pointee[keyPath: stride] = 2 * step
    }
    everySecondLine(\.data.0, \.linesize.0)
    everySecondLine(\.data.1, \.linesize.1)
    everySecondLine(\.data.2, \.linesize.2)
    everySecondLine(\.data.3, \.linesize.3)
    return field
  }

  /// Makes RGB of RGBA, in place. A picture of which nothing at all is to be seen comes from a
  /// program that did not think of transparency, and is taken for a whole one.
  private func putOnBlack(_ rows: some Collection<UnsafeMutablePointer<UInt8>>, pixels: Int) {
    let isVisible = rows.contains { row in (0..<pixels).contains { row[4 * $0 + 3] > 0 } }
    for row in rows {
      for x in 0..<pixels {
        let (from, to) = (row + 4 * x, row + 3 * x)
        let alpha = isVisible ? UInt32(from[3]) : 255
        if alpha < 255 { sawTransparent = true }
        for channel in 0..<3 {
          to[channel] = UInt8((UInt32(from[channel]) * alpha + 127) / 255)
        }
      }
    }
  }
}

extension PictureConverter.Kind {
  init(_ picture: AVFrame) {
    let declared = AVPixelFormat(rawValue: picture.format)
    // The formats with a J say "full range" a second time.
    let plain: [Int32: AVPixelFormat] = [
      AV_PIX_FMT_YUVJ420P.rawValue: AV_PIX_FMT_YUV420P,
      AV_PIX_FMT_YUVJ422P.rawValue: AV_PIX_FMT_YUV422P,
      AV_PIX_FMT_YUVJ444P.rawValue: AV_PIX_FMT_YUV444P,
      AV_PIX_FMT_YUVJ440P.rawValue: AV_PIX_FMT_YUV440P,
      AV_PIX_FMT_YUVJ411P.rawValue: AV_PIX_FMT_YUV411P,
    ]
    let usual =
      ColorTags.looksHighDefinition(width: Int(picture.width), height: Int(picture.height))
      ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M
    self.init(
      width: picture.width, height: picture.height, format: plain[declared.rawValue] ?? declared,
      colorSpace: picture.colorspace == AVCOL_SPC_UNSPECIFIED ? usual : picture.colorspace,
      fullRange: picture.color_range == AVCOL_RANGE_JPEG || plain[declared.rawValue] != nil,
      chromaLocation: picture.chroma_location)
  }

  /// Whether a color has more than 8 bits.
  var isDeep: Bool {
    guard let descriptor = av_pix_fmt_desc_get(format) else { return false }
    return descriptor.pointee.comp.0.depth > 8
  }

  var isTransparent: Bool {
    guard let descriptor = av_pix_fmt_desc_get(format) else { return false }
    return descriptor.pointee.flags & UInt64(AV_PIX_FMT_FLAG_ALPHA) != 0
  }
}

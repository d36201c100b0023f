import CLibAV

/// How a video's numbers stand for colours, as a file is tagged: the numbers of ITU-T H.273, which
/// are also libav's.
public struct ColorTags: Sendable, Codable, Equatable {
  public var primaries: UInt8
  public var transfer: UInt8
  /// The coefficients that make red, green and blue of luma and chroma.
  public var matrix: UInt8
  /// Whether luma goes from 0 to 255 rather than from 16 to 235; `nil` where nothing is said.
  public var isFullRange: Bool?

  public init(primaries: UInt8, transfer: UInt8, matrix: UInt8, isFullRange: Bool?) {
    (self.primaries, self.transfer, self.matrix) = (primaries, transfer, matrix)
    self.isFullRange = isFullRange
  }

  /// Nothing is said.
  public static let unspecified = ColorTags(
    primaries: 2, transfer: 2, matrix: 2, isFullRange: nil)
}

extension ColorTags {
  init(_ frame: AVFrame) {
    let format = av_pix_fmt_desc_get(AVPixelFormat(rawValue: frame.format))
    // There is no matrix and no range to be kept.
    if let format, format.pointee.flags & UInt64(AV_PIX_FMT_FLAG_RGB) != 0 {
      self = .unspecified
      return
    }
    func number(_ value: UInt32) -> UInt8 { UInt8(exactly: value) ?? 2 }
    self.init(
      primaries: number(frame.color_primaries.rawValue),
      transfer: number(frame.color_trc.rawValue), matrix: number(frame.colorspace.rawValue),
      isFullRange: frame.color_range == AVCOL_RANGE_UNSPECIFIED
        ? nil : frame.color_range == AVCOL_RANGE_JPEG)
  }

  /// What RGB that was decoded by these tags is coded in again, and tagged with.
  ///
  /// Primaries and transfer, which decoding leaves as they are, stay as tagged, and BT.709's where
  /// nothing is said. So does the range. The matrix is the file's where libswscale has it; else the
  /// one that players take for a picture of this size where nothing is said.
  func coded(width: Int, height: Int) -> ColorTags {
    let matrices = [
      AVCOL_SPC_BT709, AVCOL_SPC_FCC, AVCOL_SPC_BT470BG, AVCOL_SPC_SMPTE170M, AVCOL_SPC_SMPTE240M,
      AVCOL_SPC_BT2020_NCL,
    ].map { UInt8($0.rawValue) }
    let usual =
      Self.looksHighDefinition(width: width, height: height)
      ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M
    func known(_ number: UInt8) -> UInt8 { [0, 2, 3].contains(number) ? 1 : number }
    return ColorTags(
      primaries: known(primaries), transfer: known(transfer),
      matrix: matrices.contains(matrix) ? matrix : UInt8(usual.rawValue),
      isFullRange: isFullRange ?? false)
  }

  /// What players take for BT.709 where nothing is said.
  static func looksHighDefinition(width: Int, height: Int) -> Bool { width >= 1280 || height > 576 }

  /// High dynamic range: PQ (SMPTE ST 2084) or HLG (ARIB STD-B67).
  var isHighDynamicRange: Bool { transfer == 16 || transfer == 18 }

  /// BT.709, limited range.
  static let highDefinition = ColorTags(primaries: 1, transfer: 1, matrix: 1, isFullRange: false)
}

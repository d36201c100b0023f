import CLibAV

/// Scales pictures and converts their pixel formats with libswscale; rebuilds itself where the
/// source's kind changes in mid-stream.
final class PictureConverter {
  /// What a conversion depends on, at one of its ends.
  struct Kind: Equatable {
    var width: Int32
    var height: Int32
    var format: AVPixelFormat
    /// libav's matrix coefficients, which are also libswscale's.
    var colorSpace: AVColorSpace = AVCOL_SPC_RGB
    var fullRange = true
    /// Where between the pixels subsampled colour was taken.
    var chromaLocation: AVChromaLocation = AVCHROMA_LOC_UNSPECIFIED

    /// As libswscale's options take it, in 1/256 of a pixel; -513, libswscale's default, where
    /// colour is not subsampled. The unspecified is taken for the centre.
    fileprivate var chromaPosition: (horizontal: Int64, vertical: Int64) {
      guard let descriptor = av_pix_fmt_desc_get(format)?.pointee else { return (-513, -513) }
      let known = chromaLocation == AVCHROMA_LOC_UNSPECIFIED ? AVCHROMA_LOC_CENTER : chromaLocation
      let left = [AVCHROMA_LOC_LEFT, AVCHROMA_LOC_TOPLEFT, AVCHROMA_LOC_BOTTOMLEFT].contains(known)
      let top = [AVCHROMA_LOC_TOP, AVCHROMA_LOC_TOPLEFT].contains(known)
      let bottom = [AVCHROMA_LOC_BOTTOM, AVCHROMA_LOC_BOTTOMLEFT].contains(known)
      let (horizontal, vertical) = (Int64(left ? 0 : 128), Int64(top ? 0 : bottom ? 256 : 128))
      let (stepsX, stepsY) = (
        Int64(1) << descriptor.log2_chroma_w - 1, Int64(1) << descriptor.log2_chroma_h - 1
      )
      return (stepsX > 0 ? horizontal * stepsX : -513, stepsY > 0 ? vertical * stepsY : -513)
    }
  }

  private let flags: Int32
  private var context: OpaquePointer?
  private var source: Kind?
  private var target: Kind?

  /// `flags`: libswscale's, SWS_BICUBIC and the like.
  init(flags: Int32) { self.flags = flags }

  deinit { sws_freeContext(context) }

  /// Fills `picture`, whose buffers exist, from `frame`.
  func convert(
    _ frame: UnsafeMutablePointer<AVFrame>, of source: Kind,
    into picture: UnsafeMutablePointer<AVFrame>, of target: Kind
  ) throws {
    if source != self.source || target != self.target { try rebuild(source, target) }
    let rows = withUnsafePointers(of: frame) { sourceRows, sourceStrides in
      withUnsafePointers(of: picture) { targetRows, targetStrides in
        sws_scale(context, sourceRows, sourceStrides, 0, source.height, targetRows, targetStrides)
      }
    }
    guard rows > 0 else {
      throw VideoFailure(
        .input, "has a picture that cannot be scaled: \(describe(libavError: rows))")
    }
  }

  private func rebuild(_ source: Kind, _ target: Kind) throws {
    sws_freeContext(context)
    self.source = nil
    context = sws_alloc_context()
    guard let context else { throw VideoFailure.outOfMemory }
    let options: [(String, Int64)] = [
      ("sws_flags", Int64(flags)), ("srcw", Int64(source.width)), ("srch", Int64(source.height)),
      ("src_format", Int64(source.format.rawValue)), ("dstw", Int64(target.width)),
      ("dsth", Int64(target.height)),
      ("dst_format", Int64(target.format.rawValue)),
      ("src_h_chr_pos", source.chromaPosition.horizontal),
      ("src_v_chr_pos", source.chromaPosition.vertical),
      ("dst_h_chr_pos", target.chromaPosition.horizontal),
      ("dst_v_chr_pos", target.chromaPosition.vertical),
    ]
    for (name, value) in options {
      av_opt_set_int(UnsafeMutableRawPointer(context), name, value, 0)
    }
    guard sws_init_context(context, nil, nil) >= 0 else {
      let format = av_get_pix_fmt_name(source.format).map { String(cString: $0) } ?? "unknown"
      throw VideoFailure(
        .input,
        "has pictures (\(source.width)x\(source.height), \(format)) that cannot be scaled to \(target.width)x\(target.height)"
      )
    }
    // Refused where neither end is YUV, and then there is nothing to set.
    _ = sws_setColorspaceDetails(
      context, sws_getCoefficients(Int32(source.colorSpace.rawValue)), source.fullRange ? 1 : 0,
      sws_getCoefficients(Int32(target.colorSpace.rawValue)), target.fullRange ? 1 : 0, 0, 1 << 16,
      1 << 16)
    self.source = source
    self.target = target
  }

  private func withUnsafePointers<Result>(
    of frame: UnsafeMutablePointer<AVFrame>,
    _ body: (UnsafePointer<UnsafePointer<UInt8>?>?, UnsafePointer<Int32>?) -> Result
  ) -> Result {
    withUnsafeBytes(of: &frame.pointee.data) { rows in
      withUnsafeBytes(of: &frame.pointee.linesize) { strides in
        body(
          rows.baseAddress?.assumingMemoryBound(to: UnsafePointer<UInt8>?.self),
          strides.baseAddress?.assumingMemoryBound(to: Int32.self))
      }
    }
  }

  private func withUnsafePointers<Result>(
    of frame: UnsafeMutablePointer<AVFrame>,
    _ body: (UnsafePointer<UnsafeMutablePointer<UInt8>?>?, UnsafePointer<Int32>?) -> Result
  ) -> Result {
    withUnsafeBytes(of: &frame.pointee.data) { rows in
      withUnsafeBytes(of: &frame.pointee.linesize) { strides in
        body(
          rows.baseAddress?.assumingMemoryBound(to: UnsafeMutablePointer<UInt8>?.self),
          strides.baseAddress?.assumingMemoryBound(to: Int32.self))
      }
    }
  }
}

/// A picture with buffers of its own.
final class Picture {
  let frame: UnsafeMutablePointer<AVFrame>

  init(width: Int, height: Int, format: AVPixelFormat) throws {
    guard let frame = av_frame_alloc() else { throw VideoFailure.outOfMemory }
    self.frame = frame
    frame.pointee.width = Int32(width)
    frame.pointee.height = Int32(height)
    frame.pointee.format = format.rawValue
    // libswscale writes whole vectors, beyond a row's end: rows are padded, never the caller's
    // packed ones.
    guard av_frame_get_buffer(frame, 64) >= 0 else {
      var unused: UnsafeMutablePointer<AVFrame>? = frame
      av_frame_free(&unused)
      throw VideoFailure.outOfMemory
    }
  }

  deinit {
    var unused: UnsafeMutablePointer<AVFrame>? = frame
    av_frame_free(&unused)
  }
}

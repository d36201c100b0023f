import CLibAV

/// Scales pictures and converts their pixel formats with libswscale; rebuilds itself where the source's kind changes in mid-stream.
final class PictureConverter {
    /// What a conversion depends on, at one of its ends.
    struct Kind: Equatable {
        var width: Int32
        var height: Int32
        var format: AVPixelFormat
        /// libav's matrix coefficients, which are also libswscale's.
        var colorSpace: AVColorSpace = AVCOL_SPC_RGB
        var fullRange = true
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
        _ frame: UnsafeMutablePointer<AVFrame>, of source: Kind, into picture: UnsafeMutablePointer<AVFrame>, of target: Kind
    ) throws {
        if source != self.source || target != self.target { try rebuild(source, target) }
        let rows = withUnsafePointers(of: frame) { sourceRows, sourceStrides in
            withUnsafePointers(of: picture) { targetRows, targetStrides in
                sws_scale(context, sourceRows, sourceStrides, 0, source.height, targetRows, targetStrides)
            }
        }
        guard rows > 0 else { throw VideoFailure(.input, "has a picture that cannot be scaled: \(describe(libavError: rows))") }
    }

    private func rebuild(_ source: Kind, _ target: Kind) throws {
        sws_freeContext(context)
        self.source = nil
        context = sws_getContext(
            source.width, source.height, source.format, target.width, target.height, target.format, flags, nil, nil, nil)
        guard let context else {
            let format = av_get_pix_fmt_name(source.format).map { String(cString: $0) } ?? "unknown"
            throw VideoFailure(
                .input, "has pictures (\(source.width)x\(source.height), \(format)) that cannot be scaled to \(target.width)x\(target.height)")
        }
        // Refused where neither end is YUV, and then there is nothing to set.
        _ = sws_setColorspaceDetails(
            context, sws_getCoefficients(Int32(source.colorSpace.rawValue)), source.fullRange ? 1 : 0,
            sws_getCoefficients(Int32(target.colorSpace.rawValue)), target.fullRange ? 1 : 0, 0, 1 << 16, 1 << 16)
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
        guard let frame = av_frame_alloc() else { throw VideoFailure(.resources, outOfMemoryProblem) }
        self.frame = frame
        frame.pointee.width = Int32(width)
        frame.pointee.height = Int32(height)
        frame.pointee.format = format.rawValue
        // libswscale writes whole vectors, beyond a row's end: rows are padded, never the caller's packed ones.
        guard av_frame_get_buffer(frame, 64) >= 0 else {
            var unused: UnsafeMutablePointer<AVFrame>? = frame
            av_frame_free(&unused)
            throw VideoFailure(.resources, outOfMemoryProblem)
        }
    }

    deinit {
        var unused: UnsafeMutablePointer<AVFrame>? = frame
        av_frame_free(&unused)
    }
}

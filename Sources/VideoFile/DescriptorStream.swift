import CLibAV
import Foundation

/// libav's view of an open file: reads and writes at an offset of its own, moves the file's, and
/// knows no path.
///
/// The descriptor stays the caller's. It must be a regular file.
final class DescriptorStream {
  let descriptor: Int32
  /// The `errno` of the first failed read or write; 0 for none.
  private(set) var failure: Int32 = 0
  private(set) var context: UnsafeMutablePointer<AVIOContext>?
  private var offset: Int64 = 0

  init(descriptor: Int32, writable: Bool) throws {
    self.descriptor = descriptor
    let size: Int32 = 1 << 16
    guard let buffer = av_malloc(Int(size)) else {
      throw VideoFailure.outOfMemory
    }
    context = avio_alloc_context(
      buffer.assumingMemoryBound(to: UInt8.self), size, writable ? 1 : 0,
      Unmanaged.passUnretained(self).toOpaque(),
      { DescriptorStream.of($0).read(into: $1, count: $2) },
      { DescriptorStream.of($0).write($1, count: $2) },
      { DescriptorStream.of($0).seek(to: $1, whence: $2) })
    guard context != nil else {
      av_free(buffer)
      throw VideoFailure.outOfMemory
    }
  }

  deinit {
    // libav may have exchanged the buffer, so it is freed through the context.
    if let buffer = context?.pointee.buffer { av_free(buffer) }
    avio_context_free(&context)
  }

  static func of(_ opaque: UnsafeMutableRawPointer?) -> DescriptorStream {
    // libav hands back what `init` gave it.
    Unmanaged<DescriptorStream>.fromOpaque(opaque!).takeUnretainedValue()
  }

  private func read(into buffer: UnsafeMutablePointer<UInt8>?, count: Int32) -> Int32 {
    while true {
      let got = pread(descriptor, buffer, Int(count), off_t(offset))
      if got > 0 {
        offset += Int64(got)
        return Int32(got)
      }
      if got == 0 { return stem_AVERROR_EOF }
      if errno != EINTR { return fail(errno) }
    }
  }

  private func write(_ buffer: UnsafePointer<UInt8>?, count: Int32) -> Int32 {
    guard let buffer else { return fail(EINVAL) }
    var written = 0
    while written < Int(count) {
      let put = pwrite(descriptor, buffer + written, Int(count) - written, off_t(offset))
      if put > 0 {
        written += put
        offset += Int64(put)
      } else if put == 0 {
        return fail(ENOSPC)
      } else if errno != EINTR {
        return fail(errno)
      }
    }
    return count
  }

  private func seek(to position: Int64, whence: Int32) -> Int64 {
    let target: (Int64, overflow: Bool)
    switch whence & ~AVSEEK_FORCE {
    case SEEK_SET: target = (position, false)
    case SEEK_CUR: target = offset.addingReportingOverflow(position)
    case SEEK_END, AVSEEK_SIZE:
      // Not by fstat(2), which shares a system call with looking at any path.
      let size = lseek(descriptor, 0, SEEK_END)
      guard size >= 0 else { return Int64(fail(errno)) }
      if whence & ~AVSEEK_FORCE == AVSEEK_SIZE { return Int64(size) }
      target = Int64(size).addingReportingOverflow(position)
    default: return Int64(-EINVAL)
    }
    guard !target.overflow, target.0 >= 0 else { return Int64(-EINVAL) }
    offset = target.0
    return offset
  }

  private func fail(_ code: Int32) -> Int32 {
    if failure == 0 { failure = code }
    return -code
  }
}

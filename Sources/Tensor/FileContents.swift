import Foundation

/// The bytes of a file, for as long as this lives.
class FileContents: @unchecked Sendable {
  let bytes: UnsafeRawPointer
  let count: Int

  init(bytes: UnsafeRawPointer, count: Int) { (self.bytes, self.count) = (bytes, count) }

  /// Gives the pages of some bytes back to the system where it can have them again: those of bytes in
  /// memory stay.
  func forget(_ range: Range<Int>) {}
}

/// Pages of a file, mapped read-only: all processes share one copy in memory. Whoever cuts the file
/// short kills those who read it.
class MappedPages: FileContents, @unchecked Sendable {
  override func forget(_ range: Range<Int>) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let start = range.lowerBound / page * page
    madvise(
      UnsafeMutableRawPointer(mutating: bytes + start), range.upperBound - start, MADV_DONTNEED)
  }

  deinit { munmap(UnsafeMutableRawPointer(mutating: bytes), count) }
}

/// A whole file, mapped.
final class MappedFile: MappedPages, @unchecked Sendable {
  /// - Parameters:
  ///   - followsLinks: whether the path may be a symbolic link.
  ///   - size: the bytes that the file must have; `nil` for any number.
  init(_ url: URL, followsLinks: Bool = true, bytes size: Int? = nil) throws {
    let path = url.path(percentEncoded: false)
    var status = stat()
    // Found out before it is opened, which waits for ever where it is a pipe. Not O_NONBLOCK, with which
    // a file that another computer has on loan cannot be opened at all.
    if followsLinks, stat(path, &status) == 0 { try requireRegular(status, path) }
    let guarded = followsLinks ? 0 : O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | guarded)
    guard descriptor >= 0 else {
      throw WeightsError("\(path) cannot be read: \(String(cString: strerror(errno)))")
    }
    defer { close(descriptor) }
    let count = try regularFileSize(descriptor, path)
    guard count > 0 else { throw WeightsError("\(path) is empty") }
    if let size, count != size {
      throw WeightsError("\(path) has \(count) bytes where \(size) are expected")
    }
    guard let mapping = mmap(nil, count, PROT_READ, MAP_SHARED, descriptor, 0),
      mapping != MAP_FAILED
    else {
      throw WeightsError("\(path) cannot be mapped: \(String(cString: strerror(errno)))")
    }
    super.init(bytes: UnsafeRawPointer(mapping), count: count)
  }

  /// The SHA-256 of all bytes, in hexadecimal digits; however many there are, they do not stay in
  /// memory.
  func contentHash() -> String {
    let hash = ContentHash()
    let piece = 1 << 20
    for start in stride(from: 0, to: count, by: piece) {
      let range = start..<min(start + piece, count)
      hash.update(UnsafeRawBufferPointer(start: bytes + start, count: range.count))
      forget(range)
    }
    return hash.finish()
  }
}

private func regularFileSize(_ descriptor: Int32, _ path: String) throws -> Int {
  var status = stat()
  guard fstat(descriptor, &status) == 0 else {
    throw WeightsError("\(path) cannot be read: \(String(cString: strerror(errno)))")
  }
  try requireRegular(status, path)
  return Int(status.st_size)
}

private func requireRegular(_ status: stat, _ path: String) throws {
  guard status.st_mode & S_IFMT == S_IFREG else {
    throw WeightsError("\(path) is not a regular file")
  }
}

import Foundation

/// The bytes of a file, for as long as this lives.
class FileContents: @unchecked Sendable {
  let bytes: UnsafeRawPointer
  let count: Int

  init(bytes: UnsafeRawPointer, count: Int) { (self.bytes, self.count) = (bytes, count) }

  /// Gives the pages of some bytes back to the system where it can have them again: those of a file
  /// in memory stay.
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
  init(_ url: URL) throws {
    let path = url.path(percentEncoded: false)
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw WeightsError("\(path) cannot be read: \(String(cString: strerror(errno)))")
    }
    defer { close(descriptor) }
    let count = try regularFileSize(descriptor, path)
    guard count > 0 else { throw WeightsError("\(path) is empty") }
    guard let mapping = mmap(nil, count, PROT_READ, MAP_SHARED, descriptor, 0),
      mapping != MAP_FAILED
    else {
      throw WeightsError("\(path) cannot be mapped: \(String(cString: strerror(errno)))")
    }
    super.init(bytes: UnsafeRawPointer(mapping), count: count)
  }
}

/// A file read into memory.
final class ReadFile: FileContents, @unchecked Sendable {
  /// - Parameter size: the bytes that the file must have.
  init(_ url: URL, bytes size: Int) throws {
    let path = url.path(percentEncoded: false)
    let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw WeightsError("\(path) cannot be read: \(String(cString: strerror(errno)))")
    }
    defer { close(descriptor) }
    let found = try regularFileSize(descriptor, path)
    guard found == size, size > 0 else {
      throw WeightsError("\(path) has \(found) bytes where \(size) are expected")
    }
    guard let memory = aligned_alloc(64, (size + 63) / 64 * 64) else {
      throw WeightsError("\(path) does not fit into memory with its \(size) bytes")
    }
    var count = 0
    while count < size {
      let got = read(descriptor, memory + count, size - count)
      if got < 0, errno == EINTR { continue }
      guard got > 0 else {
        let reason = got == 0 ? "it ends early" : String(cString: strerror(errno))
        free(memory)
        throw WeightsError("\(path) cannot be read: \(reason)")
      }
      count += got
    }
    super.init(bytes: UnsafeRawPointer(memory), count: size)
  }

  deinit { free(UnsafeMutableRawPointer(mutating: bytes)) }
}

private func regularFileSize(_ descriptor: Int32, _ path: String) throws -> Int {
  var status = stat()
  guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
    throw WeightsError("\(path) is not a regular file")
  }
  return Int(status.st_size)
}

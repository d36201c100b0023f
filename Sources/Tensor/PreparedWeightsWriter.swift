import Foundation

/// Writes prepared weights aside, one tensor after the other, and gives each back as a view of the
/// file, so that none stays in memory of this process.
final class PreparedWeightsWriter {
  private let path, aside: String
  private let lock: FileLock
  private let descriptor: Int32
  private var entries: [String: [String: Any]] = [:]
  private var end = PreparedWeightsWriter.headerBytes
  private var isFinished = false

  /// Space for the header; a thousand tensors take a tenth of it.
  private static let headerBytes = 1 << 20
  private static let pageBytes = 1 << 12

  init(path: String, lock: FileLock) throws {
    (self.path, self.lock) = (path, lock)
    // One name, whose last writer may have died: only the lock's holder writes.
    aside = path + ".part"
    unlink(aside)
    descriptor = open(aside, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw DurableFileError("written to", aside) }
  }

  deinit {
    close(descriptor)
    if !isFinished { unlink(aside) }
  }

  func append(_ name: String, _ tensor: Tensor) throws -> Tensor {
    let count = tensor.count * MemoryLayout<Float>.stride
    guard count > 0, entries[name] == nil else { return tensor }
    let start = (end + Self.pageBytes - 1) / Self.pageBytes * Self.pageBytes
    try tensor.withValues {
      try write(UnsafeRawBufferPointer(UnsafeBufferPointer(start: $0, count: tensor.count)), start)
    }
    if start > end {
      // The format knows no gaps: what is left of a page is a tensor, too.
      entries["page filled at \(end)"] = Self.entry("U8", [start - end], end..<start)
    }
    end = start + count
    entries[name] = Self.entry("F32", tensor.shape, start..<end)
    guard let mapping = mmap(nil, count, PROT_READ, MAP_SHARED, descriptor, start),
      mapping != MAP_FAILED
    else { throw DurableFileError("mapped", aside) }
    let region = MappedRegion(bytes: UnsafeRawPointer(mapping), count: count)
    return Tensor(
      shape: tensor.shape,
      storage: TensorStorage(
        readOnly: region.bytes.assumingMemoryBound(to: Float.self), owner: region), offset: 0)
  }

  /// - Parameter range: where in the file.
  private static func entry(_ type: String, _ shape: [Int], _ range: Range<Int>) -> [String: Any] {
    [
      "dtype": type, "shape": shape,
      "data_offsets": [range.lowerBound - headerBytes, range.upperBound - headerBytes],
    ]
  }

  /// Completes the file and gives it its name.
  func finish(key: String) throws {
    // The checksum is what a reader finds, who does not yet find one.
    try writeHeader(["key": key])
    let sum = try SafetensorsFile(URL(fileURLWithPath: aside)).checksum()
    try writeHeader(["key": key, "checksum": sum])
    guard fsync(descriptor) == 0 else { throw DurableFileError("synced", aside) }
    guard rename(aside, path) == 0 else { throw DurableFileError("renamed to \(path)", aside) }
    isFinished = true
    try DurableFile.syncFolder((path as NSString).deletingLastPathComponent)
  }

  private func writeHeader(_ metadata: [String: String]) throws {
    var header: [String: Any] = entries
    header["__metadata__"] = metadata
    var json = try JSONSerialization.data(withJSONObject: header, options: [.sortedKeys])
    let space = Self.headerBytes - 8
    guard json.count <= space else { throw DurableFileError("written", aside, code: EFBIG) }
    json.append(Data(repeating: UInt8(ascii: " "), count: space - json.count))
    try withUnsafeBytes(of: UInt64(space).littleEndian) { try write($0, 0) }
    try json.withUnsafeBytes { try write($0, 8) }
  }

  private func write(_ bytes: UnsafeRawBufferPointer, _ offset: Int) throws {
    var done = 0
    while done < bytes.count {
      let put = pwrite(
        descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, offset + done)
      if put < 0, errno == EINTR { continue }
      guard put > 0 else { throw DurableFileError("written", aside) }
      done += put
    }
  }
}

/// A mapped part of a file.
private final class MappedRegion: FileContents, @unchecked Sendable {
  deinit { munmap(UnsafeMutableRawPointer(mutating: bytes), count) }
}

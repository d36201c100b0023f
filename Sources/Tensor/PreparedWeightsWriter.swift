import CLinux
import Foundation

/// Writes prepared weights aside, one tensor after the other, and gives each back as a view of the
/// file, so that none stays in memory of this process.
final class PreparedWeightsWriter {
  private let path, aside: String
  private let lock: FileLock
  private let descriptor: Int32
  private let use: FileUse
  private var regions: [MappedRegion] = []
  private var entries: [String: [String: Any]] = [:]
  private var end = PreparedWeightsWriter.headerBytes
  private var isFinished = false

  /// Space for the header; a thousand tensors take a tenth of it.
  private static let headerBytes = 1 << 20
  /// What is written or synced at once, so that its end shows that the process does not hang.
  private static let pieceBytes = 64 << 20
  /// Tensors begin where the system can map them.
  private static let pageBytes = sysconf(Int32(_SC_PAGESIZE))

  init(path: String, lock: FileLock) throws {
    (self.path, self.lock) = (path, lock)
    // One name, whose last writer may have died: only the lock's holder writes.
    aside = path + PreparedWeightsFile.asideSuffix
    unlink(aside)
    descriptor = open(aside, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw DurableFileError("written to", aside) }
    use = FileUse(aside)
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
    let region = MappedRegion(UnsafeRawPointer(mapping), count: count, use: use)
    regions.append(region)
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
    try sync()
    guard rename(aside, path) == 0 else { throw DurableFileError("renamed to \(path)", aside) }
    isFinished = true
    try DurableFile.syncFolder((path as NSString).deletingLastPathComponent)
  }

  /// Gives the file up: the tensors that were views of it keep their elements in memory, and hold no
  /// space of a disk that may be full.
  func abandon() {
    guard !isFinished else { return }
    for region in regions where !region.moveToMemory() { return }
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
        descriptor, bytes.baseAddress.map { $0 + done }, min(Self.pieceBytes, bytes.count - done),
        offset + done)
      if put < 0, errno == EINTR { continue }
      guard put > 0 else { throw DurableFileError("written", aside) }
      done += put
      Activity.note()
    }
  }

  /// Gigabytes may take minutes.
  private func sync() throws {
    for start in stride(from: 0, to: end, by: Self.pieceBytes) {
      Activity.note()
      guard stem_sync_range(descriptor, start, min(Self.pieceBytes, end - start)) == 0 else {
        // Not every file system does it in pieces.
        if [ENOSYS, EOPNOTSUPP, EINVAL].contains(errno) { break }
        throw DurableFileError("synced", aside)
      }
    }
    guard fsync(descriptor) == 0 else { throw DurableFileError("synced", aside) }
  }
}

/// A mapped part of a file.
private final class MappedRegion: FileContents, @unchecked Sendable {
  private let use: FileUse

  init(_ bytes: UnsafeRawPointer, count: Int, use: FileUse) {
    self.use = use
    super.init(bytes: bytes, count: count)
  }

  /// Puts a copy in the place of the file's pages; where there is no memory for one, they stay.
  func moveToMemory() -> Bool {
    let copy = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let copy, copy != MAP_FAILED else { return false }
    copy.copyMemory(from: bytes, byteCount: count)
    mprotect(copy, count, PROT_READ)
    guard stem_replace_mapping(UnsafeMutableRawPointer(mutating: bytes), copy, count) == 0 else {
      munmap(copy, count)
      return false
    }
    return true
  }

  deinit { munmap(UnsafeMutableRawPointer(mutating: bytes), count) }
}

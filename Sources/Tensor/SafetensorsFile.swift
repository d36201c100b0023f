import CKernels
import Foundation

/// A file of named tensors in the safetensors format, mapped read-only: every process that opens it
/// shares one copy in memory.
///
/// The format: eight bytes with the header's length (little-endian), a JSON header, the data. The
/// header maps each name to `dtype`, `shape` and `data_offsets`; `__metadata__` holds free text.
public final class SafetensorsFile: @unchecked Sendable {
  public let url: URL
  public let metadata: [String: String]

  private let contents: FileContents
  /// The bytes before the data.
  private let headerBytes: Int
  private let entries: [String: SafetensorsHeader.Entry]

  /// - Throws: `WeightsError`, where the file cannot be read or is not what the format asks for.
  public convenience init(_ url: URL) throws { try self.init(url, MappedFile(url)) }

  /// Checks the whole file before anything is read from it; what it holds comes into memory when it
  /// is read. A symbolic link, a FIFO or anything else that is no regular file is refused.
  ///
  /// - Parameters:
  ///   - bytes, sha256: what the file must have, the checksum in hexadecimal digits. Whoever changes
  ///     it later changes what is read.
  /// - Throws: `WeightsError`, also where it has not.
  public convenience init(checking url: URL, bytes: Int, sha256: String) throws {
    let file = try MappedFile(url, followsLinks: false, bytes: bytes)
    guard file.contentHash() == sha256 else {
      throw WeightsError("\(url.path(percentEncoded: false)) does not have the checksum it should")
    }
    try self.init(url, file)
  }

  /// Reads from bytes that the file holds.
  init(_ url: URL, _ contents: FileContents) throws {
    self.url = url
    self.contents = contents
    let header: SafetensorsHeader
    do throws(SafetensorsFault) {
      guard contents.count >= 8 else { throw .init("it has only \(contents.count) bytes") }
      let length = UInt64(littleEndian: contents.bytes.loadUnaligned(as: UInt64.self))
      guard length <= contents.count - 8 else { throw .init("its header would end after its end") }
      guard length <= Self.longestHeader else {
        throw .init("its header has more than \(Self.longestHeader) bytes")
      }
      headerBytes = 8 + Int(length)
      header = try SafetensorsHeader(
        UnsafeRawBufferPointer(start: contents.bytes + 8, count: Int(length)),
        dataBytes: contents.count - headerBytes)
    } catch {
      throw WeightsError(
        "\(url.path(percentEncoded: false)) is not a whole safetensors file (\(error.reason)): download or copy it again"
      )
    }
    let start = headerBytes
    entries = header.entries.mapValues { entry in
      SafetensorsHeader.Entry(
        type: entry.type, shape: entry.shape,
        range: start + entry.range.lowerBound..<start + entry.range.upperBound)
    }
    metadata = header.metadata
    // A header is read once, and a worker would keep its pages for days.
    contents.forget(0..<start)
  }

  /// The reference implementation's limit.
  private static let longestHeader = 100_000_000

  public var names: [String] { entries.keys.sorted() }

  public func shape(of name: String) -> [Int]? { entries[name]?.shape }

  /// In what a tensor is stored, such as `F16`, and in how many bytes.
  public func storage(of name: String) -> (type: String, bytes: Int)? {
    entries[name].map { ($0.type, $0.range.count) }
  }

  /// Whether a tensor is a view of the file rather than a converted copy.
  public func isMapped(_ name: String) -> Bool {
    guard let entry = entries[name] else { return false }
    return entry.type == "F32"
      && Int(bitPattern: contents.bytes + entry.range.lowerBound) % MemoryLayout<Float>.alignment
        == 0
  }

  /// Tells whether any byte of the tensors or of where they are has changed; reads all of it, on all
  /// threads.
  func checksum() -> String {
    let hash = ContentHash()
    for (name, entry) in entries.sorted(by: { $0.key < $1.key }) {
      let piece = 1 << 20
      let pieces = (entry.range.count + piece - 1) / piece
      var sums = [UInt64](repeating: 0, count: pieces)
      sums.withUnsafeMutableBufferPointer { sums in
        let (bytes, sums) = (Shared(contents.bytes + entry.range.lowerBound), Shared(sums))
        Parallel.ranges(of: pieces) { range in
          for index in range {
            sums.pointer[index] = kernels_checksum(
              bytes.pointer + index * piece, min(piece, entry.range.count - index * piece))
          }
        }
      }
      hash.update("\(name) \(entry.type) \(entry.shape) \(entry.range) \(sums)")
    }
    // The system maps a few pages around the one that is read, also before the first tensor.
    contents.forget(0..<headerBytes)
    return hash.finish()
  }

  /// Gives a tensor's pages back to the system, which reads them again should they be needed.
  public func forget(_ name: String) {
    guard let range = entries[name]?.range else { return }
    contents.forget(range)
  }

  /// Feeds what tells this file from others to a hash without reading all of it: its size, its
  /// header, small tensors, and of every large one pages from its first to its last.
  public func feedSample(to hash: ContentHash) {
    hash.update("\(contents.count)")
    hash.update(UnsafeRawBufferPointer(start: contents.bytes, count: headerBytes))
    let (page, pages) = (4096, 16)
    for (_, entry) in entries.sorted(by: { $0.key < $1.key }) {
      let range = entry.range
      guard range.count > page * pages else {
        hash.update(
          UnsafeRawBufferPointer(start: contents.bytes + range.lowerBound, count: range.count))
        continue
      }
      for index in 0..<pages {
        let start = range.lowerBound + (range.count - page) * index / (pages - 1)
        hash.update(UnsafeRawBufferPointer(start: contents.bytes + start, count: page))
      }
      // The system maps many pages around each that is read, and these would stay.
      contents.forget(range)
    }
  }

  /// The tensor as 32-bit floats: a view of the mapped file where it holds such, a converted copy
  /// where it holds 16 bits.
  public func tensor(_ name: String) throws -> Tensor {
    let entry = try entry(name)
    let source = contents.bytes + entry.range.lowerBound
    let count = entry.shape.reduce(1, *)
    switch entry.type {
    case "F32" where isMapped(name):
      return Tensor(
        shape: entry.shape,
        storage: TensorStorage(
          readOnly: source.assumingMemoryBound(to: Float.self), owner: contents),
        offset: 0)
    case "F32":
      return converted(entry.shape) {
        Float(bitPattern: source.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self))
      }
    case "F64":
      return converted(entry.shape) {
        Float(Double(bitPattern: source.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self)))
      }
    case "BF16":
      return converted(entry.shape) {
        Float(
          bitPattern: UInt32(source.loadUnaligned(fromByteOffset: $0 * 2, as: UInt16.self)) << 16)
      }
    case "F16":
      return converted(entry.shape) {
        floatFromHalf(source.loadUnaligned(fromByteOffset: $0 * 2, as: UInt16.self))
      }
    case "I64" where count <= 1 << 24, "I32" where count <= 1 << 24:
      return Tensor(try integers(name).map(Float.init), shape: entry.shape)
    default: throw notFloats(name, entry)
    }
  }

  /// - Throws: `WeightsError` where a tensor does not hold what weights are made of.
  public func requireFloats(_ name: String) throws {
    let entry = try entry(name)
    guard ["F16", "BF16", "F32", "F64"].contains(entry.type) else { throw notFloats(name, entry) }
  }

  private func notFloats(_ name: String, _ entry: SafetensorsHeader.Entry) -> WeightsError {
    WeightsError(
      "\(url.path(percentEncoded: false)): '\(name)' is stored as \(entry.type), which is not supported here: save the model with 16 or 32 bits (F16, BF16 or F32)"
    )
  }

  /// The elements of an integer tensor.
  public func integers(_ name: String) throws -> [Int] {
    let entry = try entry(name)
    let source = contents.bytes + entry.range.lowerBound
    let count = entry.shape.reduce(1, *)
    switch entry.type {
    case "I64":
      return (0..<count).map { Int(source.loadUnaligned(fromByteOffset: $0 * 8, as: Int64.self)) }
    case "I32":
      return (0..<count).map { Int(source.loadUnaligned(fromByteOffset: $0 * 4, as: Int32.self)) }
    default:
      throw WeightsError(
        "\(url.path(percentEncoded: false)): '\(name)' holds \(entry.type), not integers")
    }
  }

  private func entry(_ name: String) throws -> SafetensorsHeader.Entry {
    guard let entry = entries[name] else {
      throw WeightsError("\(url.path(percentEncoded: false)) has no tensor '\(name)'")
    }
    return entry
  }

  @inline(__always)
  private func converted(_ shape: [Int], _ element: (Int) -> Float) -> Tensor {
    var result = Tensor(uninitialized: shape)
    let count = result.count
    result.withMutableValues { target in for index in 0..<count { target[index] = element(index) } }
    return result
  }
}

/// IEEE half to single precision without a branch per class of number: the exponent's bias is
/// corrected by a multiplication, which also normalises subnormal numbers.
@inline(__always)
private func floatFromHalf(_ half: UInt16) -> Float {
  let magnitude = UInt32(half & 0x7fff) << 13
  let finite = (Float(bitPattern: magnitude) * Float(bitPattern: 0x7780_0000)).bitPattern
  let bits = magnitude >= 0x0f80_0000 ? magnitude | 0x7f80_0000 : finite
  return Float(bitPattern: bits | UInt32(half & 0x8000) << 16)
}

/// What is wrong with a file of weights, as a sentence that names it.
public struct WeightsError: Error, CustomStringConvertible, Sendable {
  public let description: String
  public init(_ description: String) { self.description = description }
}

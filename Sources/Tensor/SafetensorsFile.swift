import Foundation

/// A file of named tensors in the safetensors format, mapped read-only: every process that opens it
/// shares one copy in memory.
///
/// The format: eight bytes with the header's length (little-endian), a JSON header, the data. The
/// header maps each name to `dtype`, `shape` and `data_offsets`; `__metadata__` holds free text.
public final class SafetensorsFile: @unchecked Sendable {
  public let url: URL
  public let metadata: [String: String]

  private struct Entry {
    let type: String
    let shape: [Int]
    let range: Range<Int>
  }

  private let mapped: MappedFile
  private let entries: [String: Entry]
  private static let elementBytes = [
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1,
    "BOOL": 1,
  ]

  /// - Throws: `WeightsError`, where the file cannot be read or is not what the format asks for.
  public init(_ url: URL) throws {
    func damaged(_ reason: String) -> WeightsError {
      WeightsError(
        "\(url.path(percentEncoded: false)) is not a whole safetensors file (\(reason)): download or copy it again"
      )
    }
    self.url = url
    mapped = try MappedFile(url)
    guard mapped.count >= 8 else { throw damaged("it has only \(mapped.count) bytes") }
    let length = UInt64(littleEndian: mapped.bytes.loadUnaligned(as: UInt64.self))
    guard length <= 100 << 20, Int(length) + 8 <= mapped.count else {
      throw damaged("its header would end after its end")
    }
    let start = 8 + Int(length)
    let header = Data(bytes: mapped.bytes + 8, count: Int(length))
    guard let json = (try? JSONSerialization.jsonObject(with: header)) as? [String: Any] else {
      throw damaged("its header is not JSON")
    }
    var entries: [String: Entry] = [:]
    for (name, value) in json where name != "__metadata__" {
      guard let fields = value as? [String: Any], let type = fields["dtype"] as? String,
        let shape = fields["shape"] as? [Int],
        let offsets = fields["data_offsets"] as? [Int], offsets.count == 2
      else { throw damaged("its entry '\(name)' is incomplete") }
      guard let bytes = Self.elementBytes[type] else {
        throw WeightsError(
          "\(url.lastPathComponent): '\(name)' has the type \(type), which is not supported")
      }
      var size = bytes
      for side in shape {
        let (product, overflow) = size.multipliedReportingOverflow(by: side)
        guard side >= 0, !overflow else { throw damaged("'\(name)' has the shape \(shape)") }
        size = product
      }
      guard offsets[0] >= 0, offsets[1] >= offsets[0], offsets[1] <= mapped.count - start,
        offsets[1] - offsets[0] == size
      else {
        throw damaged("'\(name)' of shape \(shape) does not lie within its \(mapped.count) bytes")
      }
      entries[name] = Entry(
        type: type, shape: shape, range: (start + offsets[0])..<(start + offsets[1]))
    }
    self.entries = entries
    metadata = (json["__metadata__"] as? [String: String]) ?? [:]
  }

  public var names: [String] { entries.keys.sorted() }

  public func shape(of name: String) -> [Int]? { entries[name]?.shape }

  /// The tensor as 32-bit floats: a view of the mapped file where it holds such, a converted copy
  /// where it holds 16 bits.
  public func tensor(_ name: String) throws -> Tensor {
    let entry = try entry(name)
    let source = mapped.bytes + entry.range.lowerBound
    let count = entry.shape.reduce(1, *)
    switch entry.type {
    case "F32" where Int(bitPattern: source) % 4 == 0:
      return Tensor(
        shape: entry.shape,
        storage: TensorStorage(readOnly: source.assumingMemoryBound(to: Float.self), owner: mapped),
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
    default:
      throw WeightsError(
        "\(url.lastPathComponent): '\(name)' holds \(entry.type), not floating-point numbers")
    }
  }

  /// The elements of an integer tensor.
  public func integers(_ name: String) throws -> [Int] {
    let entry = try entry(name)
    let source = mapped.bytes + entry.range.lowerBound
    let count = entry.shape.reduce(1, *)
    switch entry.type {
    case "I64":
      return (0..<count).map { Int(source.loadUnaligned(fromByteOffset: $0 * 8, as: Int64.self)) }
    case "I32":
      return (0..<count).map { Int(source.loadUnaligned(fromByteOffset: $0 * 4, as: Int32.self)) }
    default:
      throw WeightsError("\(url.lastPathComponent): '\(name)' holds \(entry.type), not integers")
    }
  }

  private func entry(_ name: String) throws -> Entry {
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

/// A file mapped read-only for as long as this lives.
final class MappedFile: @unchecked Sendable {
  let bytes: UnsafeRawPointer
  let count: Int

  init(_ url: URL) throws {
    let path = url.path(percentEncoded: false)
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw WeightsError("\(path) cannot be read: \(String(cString: strerror(errno)))")
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw WeightsError("\(path) is not a regular file")
    }
    count = Int(status.st_size)
    guard count > 0 else { throw WeightsError("\(path) is empty") }
    guard let mapping = mmap(nil, count, PROT_READ, MAP_SHARED, descriptor, 0),
      mapping != MAP_FAILED
    else {
      throw WeightsError("\(path) cannot be mapped: \(String(cString: strerror(errno)))")
    }
    bytes = UnsafeRawPointer(mapping)
  }

  deinit { munmap(UnsafeMutableRawPointer(mutating: bytes), count) }
}

/// What is wrong with a file of weights, as a sentence that names it.
public struct WeightsError: Error, CustomStringConvertible, Sendable {
  public let description: String
  public init(_ description: String) { self.description = description }
}

import Foundation
import Testing

@testable import Tensor

/// The tensors of a safetensors file as they lie there, to be written again otherwise.
struct StoredTensors {
  struct Stored {
    var type: String
    var shape: [Int]
    var bytes: Data
  }

  var entries: [String: Stored] = [:]

  init() {}

  init(_ url: URL) throws {
    let bytes = try Data(contentsOf: url)
    let length = Int(bytes.prefix(8).withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
    let header = try JSONSerialization.jsonObject(with: bytes[8..<8 + length]) as? [String: Any]
    for (name, value) in try #require(header) where name != "__metadata__" {
      let entry = try #require(value as? [String: Any])
      let offsets = try #require(entry["data_offsets"] as? [Int])
      entries[name] = Stored(
        type: try #require(entry["dtype"] as? String),
        shape: try #require(entry["shape"] as? [Int]),
        bytes: Data(bytes[8 + length + offsets[0]..<8 + length + offsets[1]]))
    }
  }

  func write(to url: URL, metadata: [String: String] = [:]) throws {
    var header: [String: Any] = metadata.isEmpty ? [:] : ["__metadata__": metadata]
    var data = Data()
    for (name, entry) in entries.sorted(by: { $0.key < $1.key }) {
      header[name] = [
        "dtype": entry.type, "shape": entry.shape,
        "data_offsets": [data.count, data.count + entry.bytes.count],
      ]
      data += entry.bytes
    }
    var json = try JSONSerialization.data(withJSONObject: header, options: .sortedKeys)
    json += Data(repeating: UInt8(ascii: " "), count: (8 - json.count % 8) % 8)
    let length = withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) }
    try? FileManager.default.removeItem(at: url)
    try (length + json + data).write(to: url)
  }

  /// Under other names; those that are mapped to `nil` are left out.
  func renamed(_ name: (String) -> String?) -> StoredTensors {
    var result = StoredTensors()
    for (old, entry) in entries { if let new = name(old) { result.entries[new] = entry } }
    return result
  }

  /// With the numbers in another type, `F32` or `BF16`, the latter rounded towards zero.
  func stored(as type: String) throws -> StoredTensors {
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "stored-\(UUID().uuidString).safetensors")
    try write(to: folder)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = try SafetensorsFile(folder)
    var result = self
    for (name, entry) in entries where entry.type.contains("F") {
      let bits = try file.tensor(name).values.map(\.bitPattern)
      result.entries[name] = Stored(
        type: type, shape: entry.shape,
        bytes: type == "F32"
          ? bits.withUnsafeBytes { Data($0) }
          : bits.map { UInt16($0 >> 16) }.withUnsafeBytes { Data($0) })
    }
    return result
  }

  /// One tensor's equal parts along the first dimension joined to one.
  mutating func join(_ names: [String], as name: String) throws {
    let parts = try names.map { try #require(entries[$0]) }
    for name in names { entries[name] = nil }
    var joined = parts[0]
    joined.shape[0] *= parts.count
    joined.bytes = parts.reduce(Data()) { $0 + $1.bytes }
    entries[name] = joined
  }

  func merging(_ others: StoredTensors) -> StoredTensors {
    var result = self
    result.entries.merge(others.entries) { $1 }
    return result
  }
}

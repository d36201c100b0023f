import Foundation

extension SafetensorsFile {
  /// Writes tensors as 32-bit floats into a folder: aside, synced, renamed. The same tensors and
  /// metadata give the same bytes.
  ///
  /// - Parameter name: the file's name, which may depend on what it holds.
  /// - Returns: its name, size and checksum; certain to be on the disk after
  ///   `DurableFile.syncFolder`.
  /// - Throws: `DurableFileError`.
  public static func write(
    _ tensors: [String: Tensor], metadata: [String: String] = [:], into folder: String,
    named name: (DurableFile.Content) -> String
  ) throws -> (name: String, content: DurableFile.Content) {
    precondition(tensors["__metadata__"] == nil, "the format has another use for this name")
    let sorted = tensors.sorted { $0.key < $1.key }
    var header: [String: Any] = metadata.isEmpty ? [:] : ["__metadata__": metadata]
    var end = 0
    for (name, tensor) in sorted {
      let start = end
      end += tensor.count * MemoryLayout<Float>.stride
      header[name] = ["dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end]]
    }
    var json = try JSONSerialization.data(
      withJSONObject: header, options: [.sortedKeys, .withoutEscapingSlashes])
    // The data begins where a cache line does.
    while (8 + json.count) % 64 != 0 { json.append(UInt8(ascii: " ")) }
    return try DurableFile.write(into: folder, named: name) { file in
      try withUnsafeBytes(of: UInt64(json.count).littleEndian) { try file.write($0) }
      try json.withUnsafeBytes { try file.write($0) }
      for (_, tensor) in sorted {
        try tensor.withValues {
          try file.write(
            UnsafeRawBufferPointer(UnsafeBufferPointer(start: $0, count: tensor.count)))
        }
        tensor.releasePages()
      }
    }
  }
}

/// What a safetensors file says of its tensors, checked by the rules of the reference
/// implementation: a name stands once, every tensor's bytes are as many as its shape and type say,
/// and the tensors cover the data without gap or overlap.
struct SafetensorsHeader {
  struct Entry {
    let type: String
    let shape: [Int]
    /// Where its bytes are, counted from the data's beginning.
    let range: Range<Int>
  }

  let entries: [String: Entry]
  let metadata: [String: String]

  /// Bits of an element of each type that the format knows.
  private static let elementBits = [
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E5M2FNUZ": 8, "F8_E4M3FNUZ": 8,
    "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "I16": 16, "U16": 16, "F16": 16,
    "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64,
  ]

  /// - Parameters:
  ///   - json: the header's text.
  ///   - dataBytes: how many bytes follow it.
  /// - Throws: `SafetensorsFault`
  init(_ json: UnsafeRawBufferPointer, dataBytes: Int) throws(SafetensorsFault) {
    var scanner = try HeaderScanner(json)
    var entries: [String: Entry] = [:]
    var metadata: [String: String]?
    try scanner.object { (scanner, name) throws(SafetensorsFault) in
      if name == "__metadata__" {
        guard metadata == nil else { throw .init("it has '__metadata__' twice") }
        metadata = try Self.metadata(&scanner)
      } else {
        let entry: Entry
        do throws(SafetensorsFault) {
          entry = try Self.entry(&scanner)
        } catch {
          throw .init("of its tensor \(quoted(name)), \(error.reason)")
        }
        guard entries.updateValue(entry, forKey: name) == nil else {
          throw .init("it has the tensor \(quoted(name)) twice")
        }
      }
    }
    try scanner.end()
    try Self.checkPlaces(entries, dataBytes)
    (self.entries, self.metadata) = (entries, metadata ?? [:])
  }

  private static func checkPlaces(_ entries: [String: Entry], _ dataBytes: Int)
    throws(SafetensorsFault)
  {
    var end = 0
    let inOrder = entries.sorted {
      ($0.value.range.lowerBound, $0.value.range.upperBound, $0.key)
        < ($1.value.range.lowerBound, $1.value.range.upperBound, $1.key)
    }
    for (name, entry) in inOrder {
      let range = entry.range
      guard range.upperBound <= dataBytes else {
        throw .init(
          "its tensor \(quoted(name)) would end at byte \(range.upperBound) of its data, which has \(dataBytes)"
        )
      }
      guard range.lowerBound == end else {
        throw .init(
          range.lowerBound < end
            ? "its tensor \(quoted(name)) overlaps another one"
            : "before its tensor \(quoted(name)) are \(range.lowerBound - end) bytes of no tensor")
      }
      end = range.upperBound
    }
    guard end == dataBytes else {
      throw .init("\(dataBytes - end) bytes at its end belong to no tensor")
    }
  }

  private static func metadata(_ scanner: inout HeaderScanner) throws(SafetensorsFault)
    -> [String: String]
  {
    if scanner.skipNull() { return [:] }
    var metadata: [String: String] = [:]
    try scanner.object { (scanner, key) throws(SafetensorsFault) in
      metadata[key] = try scanner.string()
    }
    return metadata
  }

  private static func entry(_ scanner: inout HeaderScanner) throws(SafetensorsFault) -> Entry {
    var type: String?
    var shape: [Int]?
    var offsets: [Int]?
    func set<T>(_ field: inout T?, _ key: String, _ value: T) throws(SafetensorsFault) {
      guard field == nil else { throw .init("'\(key)' stands there twice") }
      field = value
    }
    try scanner.object { (scanner, key) throws(SafetensorsFault) in
      switch key {
      case "dtype": try set(&type, key, try scanner.string())
      case "shape": try set(&shape, key, try scanner.integers())
      case "data_offsets": try set(&offsets, key, try scanner.integers())
      // As the reference implementation does with what it does not know.
      default: try scanner.skipValue()
      }
    }
    guard let type, let shape, let offsets else {
      throw .init("'dtype', 'shape' or 'data_offsets' is missing")
    }
    guard let bits = elementBits[type] else {
      throw .init("the type \(quoted(type)) is not one of the format")
    }
    guard offsets.count == 2, offsets[0] <= offsets[1] else {
      throw .init("the data_offsets \(list(offsets)) are not a beginning and an end")
    }
    guard let size = byteCount(shape, bits: bits) else {
      throw .init("the shape \(list(shape)) is not one that a file can hold")
    }
    guard offsets[1] - offsets[0] == size else {
      throw .init(
        "the shape \(list(shape)) takes \(size) bytes, but the data_offsets \(list(offsets)) span \(offsets[1] - offsets[0])"
      )
    }
    return Entry(type: type, shape: shape, range: offsets[0]..<offsets[1])
  }

  /// `nil` where they are not countable, also if a side of none would hide that, or end within a
  /// byte.
  private static func byteCount(_ shape: [Int], bits: Int) -> Int? {
    var size = bits
    for side in shape where side > 0 {
      let (product, overflow) = size.multipliedReportingOverflow(by: side)
      guard !overflow else { return nil }
      size = product
    }
    if shape.contains(0) { return 0 }
    return size % 8 == 0 ? size / 8 : nil
  }

  private static func list(_ numbers: [Int]) -> String {
    numbers.count <= 16
      ? "\(numbers)" : "[\(numbers.prefix(16).map(String.init).joined(separator: ", ")), …]"
  }
}

/// What is wrong with a safetensors file, to stand after its name.
struct SafetensorsFault: Error {
  let reason: String
  init(_ reason: String) { self.reason = reason }
}

/// A text of a file in a message: of bearable length, and on one line.
private func quoted(_ text: String) -> String {
  let shown = text.unicodeScalars.prefix(200).map { scalar in
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator:
      "\\u{\(String(scalar.value, radix: 16))}"
    default: String(scalar)
    }
  }
  return "'\(shown.joined())\(text.unicodeScalars.count > 200 ? "…" : "")'"
}

/// Makes lines of bytes as they come.
struct LineSplitter {
  /// Bytes after which a line is cut: nobody reads on, and the journal takes no more than this at
  /// once without effort.
  static let longest = 4096

  private var begun: [UInt8] = []

  /// - Returns: the lines that are complete now, without the empty ones.
  mutating func take(_ bytes: some Sequence<UInt8>) -> [String] {
    var lines: [String] = []
    for byte in bytes {
      if byte != UInt8(ascii: "\n") { begun.append(byte) }
      guard byte == UInt8(ascii: "\n") || begun.count == Self.longest else { continue }
      if !begun.isEmpty { lines.append(String(decoding: begun, as: UTF8.self)) }
      begun.removeAll(keepingCapacity: true)
    }
    return lines
  }
}

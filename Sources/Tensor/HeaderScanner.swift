/// Reads the JSON of a safetensors file from front to end, as strictly as the format's reference
/// implementation does.
///
/// Foundation's readers are of no use for what strangers write: they keep one of two equal names,
/// take `true` and `1.0` for numbers, and need more stack the deeper the lists are nested.
struct HeaderScanner {
  /// Beyond it, the reference implementation gives up.
  private static let deepest = 127

  private let bytes: UnsafeRawBufferPointer
  private var position = 0

  init(_ bytes: UnsafeRawBufferPointer) throws(SafetensorsFault) {
    self.bytes = bytes
    guard !bytes.isEmpty else { throw .init("its header is empty") }
    guard String(validating: bytes, as: UTF8.self) != nil else {
      throw .init("its header is not UTF-8 text")
    }
  }

  /// An object; `value` reads what stands for each key.
  mutating func object(
    _ value: (inout HeaderScanner, String) throws(SafetensorsFault) -> Void
  ) throws(SafetensorsFault) {
    try expect("{")
    if skip("}") { return }
    repeat {
      let key = try string()
      try expect(":")
      try value(&self, key)
    } while skip(",")
    try expect("}")
  }

  /// A list of whole numbers, none of them negative.
  mutating func integers() throws(SafetensorsFault) -> [Int] {
    try expect("[")
    var numbers: [Int] = []
    if skip("]") { return numbers }
    repeat { numbers.append(try integer()) } while skip(",")
    try expect("]")
    return numbers
  }

  private mutating func integer() throws(SafetensorsFault) -> Int {
    skipSpace()
    let start = position
    var number = 0
    while position < bytes.count, isDigit(bytes[position]) {
      let (tens, tooBig) = number.multipliedReportingOverflow(by: 10)
      let (next, overflow) = tens.addingReportingOverflow(Int(bytes[position] - UInt8(ascii: "0")))
      guard !tooBig, !overflow else { throw .init("the number at \(place(start)) is too large") }
      number = next
      position += 1
    }
    guard position > start, position - start == 1 || bytes[start] != UInt8(ascii: "0"),
      peek.map({ !".eE".utf8.contains($0) }) ?? true
    else {
      throw .init("at \(place(start)) is no whole number from 0 on")
    }
    return number
  }

  /// A text in double quotes.
  mutating func string() throws(SafetensorsFault) -> String {
    try expect("\"")
    let start = position
    var text = String.UnicodeScalarView()
    while true {
      let plain = position
      while position < bytes.count, bytes[position] >= 0x20, bytes[position] != UInt8(ascii: "\""),
        bytes[position] != UInt8(ascii: "\\")
      { position += 1 }
      // UTF-8 throughout, and quotes and backslashes are no part of a longer character.
      text.append(
        contentsOf: String(decoding: bytes[plain..<position], as: UTF8.self).unicodeScalars)
      guard let byte = peek, byte >= 0x20 else {
        throw .init("the text at \(place(start)) is not closed")
      }
      position += 1
      if byte == UInt8(ascii: "\"") { return String(text) }
      text.append(try escaped())
    }
  }

  private mutating func escaped() throws(SafetensorsFault) -> Unicode.Scalar {
    let start = position - 1
    let fault = SafetensorsFault("at \(place(start)) a backslash stands before what it cannot")
    guard let byte = peek else { throw fault }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{c}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): break
    default: throw fault
    }
    guard let first = hexadecimal() else { throw fault }
    if let scalar = Unicode.Scalar(first) { return scalar }
    // The first half of a pair, which only makes sense with the second.
    guard first < 0xdc00, skipExactly("\\u"), let second = hexadecimal(),
      (0xdc00...0xdfff).contains(second),
      let scalar = Unicode.Scalar(0x10000 + (first - 0xd800) << 10 + (second - 0xdc00))
    else { throw fault }
    return scalar
  }

  private mutating func hexadecimal() -> UInt32? {
    guard position + 4 <= bytes.count else { return nil }
    var number: UInt32 = 0
    for byte in bytes[position..<position + 4] {
      guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
      number = number << 4 + UInt32(digit)
    }
    position += 4
    return number
  }

  /// Whether there was a `null`.
  mutating func skipNull() -> Bool {
    skipSpace()
    return skipExactly("null")
  }

  /// Any value, without recursion: what is open is kept in a list, not on the stack.
  mutating func skipValue() throws(SafetensorsFault) {
    var open: [UInt8] = []
    repeat {
      skipSpace()
      switch peek {
      case UInt8(ascii: "["), UInt8(ascii: "{"):
        let isObject = peek == UInt8(ascii: "{")
        position += 1
        if !skip(isObject ? "}" : "]") {
          open.append(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"))
          guard open.count <= Self.deepest else {
            throw .init("its header is nested more than \(Self.deepest) deep")
          }
          if isObject { try skipKey() }
          continue
        }
      case UInt8(ascii: "\""): _ = try string()
      default: try skipWord()
      }
      // What a value's end ends, too.
      while let close = open.last {
        if skip(",") {
          if close == UInt8(ascii: "}") { try skipKey() }
          break
        }
        try expect(Unicode.Scalar(close))
        open.removeLast()
      }
    } while !open.isEmpty
  }

  private mutating func skipKey() throws(SafetensorsFault) {
    _ = try string()
    try expect(":")
  }

  /// A number, `true`, `false` or `null`.
  private mutating func skipWord() throws(SafetensorsFault) {
    let start = position
    for word: StaticString in ["true", "false", "null"] where skipExactly(word) { return }
    _ = skipExactly("-")
    let whole = position
    skipDigits()
    var isNumber = position - whole == 1 || position > whole && bytes[whole] != UInt8(ascii: "0")
    if skipExactly(".") { isNumber = skipDigits() && isNumber }
    if skipExactly("e") || skipExactly("E") {
      if !skipExactly("+") { _ = skipExactly("-") }
      isNumber = skipDigits() && isNumber
    }
    guard isNumber else { throw .init("at \(place(start)) is no value") }
  }

  /// - Throws: where anything but white space is left.
  mutating func end() throws(SafetensorsFault) {
    skipSpace()
    guard position == bytes.count else {
      throw .init("its header goes on at \(place(position)), after its end")
    }
  }

  private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

  private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")) ~= byte }

  /// Whether there were any.
  @discardableResult
  private mutating func skipDigits() -> Bool {
    let start = position
    while let byte = peek, isDigit(byte) { position += 1 }
    return position > start
  }

  private mutating func skipSpace() {
    while let byte = peek, " \n\r\t".utf8.contains(byte) { position += 1 }
  }

  private mutating func skip(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard peek == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func skipExactly(_ text: StaticString) -> Bool {
    text.withUTF8Buffer { text in
      guard bytes[position...].starts(with: text) else { return false }
      position += text.count
      return true
    }
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(SafetensorsFault) {
    guard skip(character) else {
      throw .init(
        "its header is not what the format asks for: \(place(position)) is no '\(character)'")
    }
  }

  private func place(_ position: Int) -> String { "byte \(8 + position)" }
}

import CUTF8Proc

extension String {
  /// Canonical composition (NFC) as the tokenizers of transformers do it: by the tables of Unicode 9,
  /// in which later characters neither combine nor change their place.
  ///
  /// Not Foundation's, which makes U+00C1 of U+10041 U+0301, and syllables of old jamo that do not
  /// exist.
  var precomposedForCLIP: [Unicode.Scalar] {
    var scalars: [Unicode.Scalar] = []
    var rest = unicodeScalars[...]
    while let first = rest.first {
      if first.isLaterThanUnicode9 {
        scalars.append(first)
        rest.removeFirst()
      } else {
        let piece = rest.prefix { !$0.isLaterThanUnicode9 }
        scalars += String(piece).precomposed
        rest = rest[piece.endIndex...]
      }
    }
    return scalars
  }

  private var precomposed: [Unicode.Scalar] {
    let bytes = Array(utf8)
    let options = utf8proc_option_t(UTF8PROC_STABLE.rawValue | UTF8PROC_COMPOSE.rawValue)
    // No character has more than four canonical parts.
    var buffer = [Int32](repeating: 0, count: 4 * bytes.count + 1)
    let parts = utf8proc_decompose(bytes, bytes.count, &buffer, buffer.count, options)
    let count = utf8proc_normalize_utf32(&buffer, parts, options)
    precondition(
      (0...buffer.count).contains(parts) && (0...parts).contains(count),
      "utf8proc did not take valid UTF-8")
    return buffer[..<count].compactMap { Unicode.Scalar(UInt32(bitPattern: $0)) }
  }
}

extension Unicode.Scalar {
  fileprivate var isLaterThanUnicode9: Bool {
    value > 0x7F && properties.age.map { $0.major > 9 } ?? false
  }
}

/// `name` as it may stand in a log line or a message: control characters, line breaks, invisible
/// direction marks and backslashes are escaped, so that no file name can forge a line or hide what
/// it is.
public func displayName(_ name: String) -> String { escaped(name, withBackslash: true) }

/// The same for a line of text, which may hold names that are escaped already: backslashes stay as
/// they are.
public func displayLine(_ text: String) -> String { escaped(text, withBackslash: false) }

private func escaped(_ name: String, withBackslash: Bool) -> String {
  var shown = ""
  for scalar in name.unicodeScalars {
    switch scalar {
    case "\n": shown += "\\n"
    case "\r": shown += "\\r"
    case "\t": shown += "\\t"
    case "\\" where withBackslash: shown += "\\\\"
    default:
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse,
        .unassigned:
        shown += "\\u{\(String(scalar.value, radix: 16))}"
      default: shown.unicodeScalars.append(scalar)
      }
    }
  }
  return shown
}

/// The same for a name that need not be UTF-8: bytes that are not text are written `\xHH`.
public func displayName(bytes: [UInt8]) -> String {
  if let text = String(validating: bytes, as: UTF8.self) { return displayName(text) }
  return bytes.map { byte in
    (0x20..<0x7f).contains(byte) && byte != 0x5c
      ? String(UnicodeScalar(byte)) : "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
  }.joined()
}

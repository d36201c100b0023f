import Foundation

/// A value of a sidecar's mapping, as far as a sidecar can make use of it.
indirect enum SidecarValue: Equatable, Sendable {
  /// Text that is only text: quoted in YAML, a string in JSON.
  case text(String)
  /// An unquoted word of YAML, which is whatever its key wants it to be.
  case word(String)
  /// A number of JSON.
  case whole(UInt64)
  case number(Double)
  case flag(Bool)
  case nothing
  /// What lies deeper than in a list or a mapping of the file's own is `nested`.
  case list([SidecarValue])
  case mapping([String: SidecarValue])
  case nested

  /// As it is named in an error.
  var shown: String {
    switch self {
    case .text(let text): "the text '\(Self.shortened(text))'"
    case .word(let word): "'\(Self.shortened(word))'"
    case .whole(let number): "\(number)"
    case .number(let number): "\(number)"
    case .flag(let flag): "\(flag)"
    case .nothing: "nothing"
    case .list: "a list"
    case .mapping: "a mapping"
    case .nested: "a list or a mapping in another"
    }
  }

  private static func shortened(_ text: String) -> String {
    text.count > 60 ? displayName(String(text.prefix(60))) + "…" : displayName(text)
  }

  var asText: String? {
    switch self {
    case .text(let text), .word(let text): text
    default: nil
    }
  }

  /// A number without a fraction, however it is written (`10`, `1e1`, `10.0`).
  var asWhole: UInt64? {
    switch self {
    case .whole(let number): number
    case .number(let number): UInt64(exactly: number)
    case .word(let word): UInt64(word) ?? asNumber.flatMap { UInt64(exactly: $0) }
    default: nil
    }
  }

  var asInteger: Int? {
    asWhole.flatMap { Int(exactly: $0) } ?? asNumber.flatMap { Int(exactly: $0) }
  }

  var asFlag: Bool? {
    switch self {
    case .flag(let flag): flag
    case .word("true"): true
    case .word("false"): false
    default: nil
    }
  }

  var asNumber: Double? {
    switch self {
    case .whole(let number): Double(number)
    case .number(let number): number
    case .word(let word):
      // Double(_:) also takes "nan", "inf" and hexadecimal.
      word.utf8.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }) ? Double(word) : nil
    default: nil
    }
  }
}

extension SidecarValue {
  init(_ json: JSONValue) {
    switch json {
    case .null: self = .nothing
    case .flag(let flag): self = .flag(flag)
    case .whole(let number):
      self = UInt64(exactly: number).map { .whole($0) } ?? .number(Double(number))
    case .unsigned(let number): self = .whole(number)
    case .number(let number): self = .number(number)
    case .text(let text): self = .text(text)
    case .list(let values): self = .list(values.map { Self($0) })
    case .object(let values): self = .mapping(values.mapValues { Self($0) })
    }
  }
}

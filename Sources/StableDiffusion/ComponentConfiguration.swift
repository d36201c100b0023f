import Foundation
import Tensor

/// How a component is configured: the values of its JSON file, or what was found out about it. Every
/// reading names the place and the key where something is missing, of the wrong type or not
/// supported.
public struct ComponentConfiguration: Sendable {
  /// The file, or whatever else the values come from.
  let place: String
  private let values: [String: JSONValue]

  init(_ url: URL) throws {
    place = url.path(percentEncoded: false)
    guard let data = RegularFile.contents(of: url) else {
      throw ModelError(
        "\(place) is missing, is no regular file or cannot be read: the model folder is not complete"
      )
    }
    guard case .object(let values)? = try? JSONDecoder().decode(JSONValue.self, from: data) else {
      throw ModelError("\(place) is not a JSON object")
    }
    self.values = values.filter { $0.value != .null }
  }

  init(_ values: [String: JSONValue], place: String) {
    (self.values, self.place) = (values, place)
  }

  func has(_ key: String) -> Bool { values[key] != nil }

  func number(_ key: String, default fallback: Double? = nil) throws -> Double {
    try value(key, "a number", fallback) { $0.number }
  }

  func flag(_ key: String, default fallback: Bool) throws -> Bool {
    try value(key, "true or false", fallback) { if case .flag(let flag) = $0 { flag } else { nil } }
  }

  func text(_ key: String, default fallback: String? = nil) throws -> String {
    try value(key, "a text", fallback) { $0.text }
  }

  /// A token that is looked for in prompts: its text, or an object that holds it as `content`.
  ///
  /// - Parameter isNormalized: where an object does not say it.
  /// - Returns: `nil` where there is none.
  func addedToken(_ key: String, isNormalized: Bool) throws -> AddedTokens.Token? {
    guard let value = values[key] else { return nil }
    return try token(value, key, isNormalized: isNormalized)
  }

  /// Such tokens by their ids, in the order of these.
  func addedTokens(_ key: String) throws -> [(token: AddedTokens.Token, id: Int)] {
    guard let value = values[key] else { return [] }
    guard case .object(let tokens) = value else {
      throw wrong(key, "takes an object of tokens by their ids")
    }
    return try tokens.map { id, value in
      guard let id = Int(id), (0..<1 << 24).contains(id) else {
        throw wrong(key, "has '\(id)' where a token's id belongs")
      }
      return (try token(value, key, isNormalized: true), id)
    }.sorted { $0.id < $1.id }
  }

  private func token(_ value: JSONValue, _ key: String, isNormalized: Bool) throws
    -> AddedTokens.Token
  {
    var fields: [String: JSONValue] = [:]
    if case .object(let object) = value { fields = object }
    guard let text = fields["content"]?.text ?? value.text, !text.isEmpty else {
      throw wrong(key, "takes a token's text, not \(value)")
    }
    if case .flag(true)? = fields["single_word"] {
      throw wrong(key, "has 'single_word' true, which is not supported")
    }
    // A text alone stands for a token that is looked for as it is written.
    guard case .object = value else { return .init(text: text, isNormalized: false) }
    if case .flag(let flag)? = fields["normalized"] { return .init(text: text, isNormalized: flag) }
    var isSpecial = false
    if case .flag(true)? = fields["special"] { isSpecial = true }
    return .init(text: text, isNormalized: isNormalized && !isSpecial)
  }

  /// The values of an object; `nil` where there is none, or something else.
  func object(_ key: String) -> ComponentConfiguration? {
    guard case .object(let values)? = values[key] else { return nil }
    return ComponentConfiguration(values.filter { $0.value != .null }, place: "\(place), '\(key)'")
  }

  func texts(_ key: String) throws -> [String] {
    try value(key, "a list of texts", nil) { $0.list { $0.text } }
  }

  func numbers(_ key: String) throws -> [Double] {
    try value(key, "a list of numbers", nil) { $0.list { $0.number } }
  }

  /// A whole number from 1 to a million.
  func size(_ key: String, default fallback: Int? = nil) throws -> Int {
    try value(key, "a whole number from 1 to 1048576", fallback) { $0.size }
  }

  func integer(_ key: String, default fallback: Int? = nil) throws -> Int {
    try value(key, "a whole number", fallback) { $0.integer }
  }

  /// A list of sizes; one number stands for all `count` entries.
  func sizes(_ key: String, count: Int? = nil, default fallback: Int? = nil) throws -> [Int] {
    let kind = count.map { "a whole number or a list of \($0)" } ?? "a list of whole numbers"
    return try value(key, kind, fallback.map { Array(repeating: $0, count: count ?? 1) }) { value in
      if let one = value.size { return count.map { Array(repeating: one, count: $0) } }
      guard let list = value.list({ $0.size }), !list.isEmpty, count == nil || list.count == count
      else { return nil }
      return list
    }
  }

  /// Refuses every value but the supported ones, written as in JSON; an absent or null key counts
  /// as the first of them.
  func require(_ key: String, oneOf supported: String...) throws {
    guard let value = values[key], !supported.contains(value.description) else { return }
    throw wrong(
      key,
      "is \(value), which is not supported; supported is \(supported.joined(separator: " or "))")
  }

  func wrong(_ key: String, _ reason: String) -> ModelError {
    ModelError("\(place): '\(key)' \(reason)")
  }

  private func value<T>(_ key: String, _ kind: String, _ fallback: T?, _ read: (JSONValue) -> T?)
    throws -> T
  {
    guard let raw = values[key] else {
      guard let fallback else {
        throw ModelError("\(place) has no '\(key)', which takes \(kind)")
      }
      return fallback
    }
    guard let value = read(raw) else { throw wrong(key, "takes \(kind), not \(raw)") }
    return value
  }
}

/// Any JSON, with its types kept apart: true is not 1.
enum JSONValue: Decodable, Equatable, Sendable, CustomStringConvertible {
  case null
  case flag(Bool)
  case whole(Int)
  case real(Double)
  case string(String)
  case array([JSONValue])
  case object([String: JSONValue])

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let flag = try? container.decode(Bool.self) {
      self = .flag(flag)
    } else if let whole = try? container.decode(Int.self) {
      self = .whole(whole)
    } else if let real = try? container.decode(Double.self) {
      self = .real(real)
    } else if let string = try? container.decode(String.self) {
      self = .string(string)
    } else if let array = try? container.decode([JSONValue].self) {
      self = .array(array)
    } else {
      self = .object(try container.decode([String: JSONValue].self))
    }
  }

  static func sizes(_ values: [Int]) -> Self { .array(values.map { .whole($0) }) }
  static func texts(_ values: [String]) -> Self { .array(values.map { .string($0) }) }

  var number: Double? {
    switch self {
    case .whole(let value): Double(value)
    case .real(let value): value
    default: nil
    }
  }

  var integer: Int? { if case .whole(let value) = self { value } else { nil } }
  var size: Int? { integer.flatMap { (1...1 << 20).contains($0) ? $0 : nil } }
  var text: String? { if case .string(let value) = self { value } else { nil } }

  func list<T>(_ element: (JSONValue) -> T?) -> [T]? {
    guard case .array(let values) = self else { return nil }
    let read = values.compactMap(element)
    return read.count == values.count ? read : nil
  }

  var description: String {
    switch self {
    case .null: "null"
    case .flag(let value): "\(value)"
    case .whole(let value): "\(value)"
    case .real(let value): "\(value)"
    case .string(let value): value
    case .array(let values): "[\(values.map(\.description).joined(separator: ", "))]"
    case .object: "an object"
    }
  }
}

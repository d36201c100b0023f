import Foundation

/// The top-level object of a JSON text, reduced to what a sidecar can use.
func jsonMapping(_ text: String) throws -> [(key: String, value: SidecarValue)] {
  let data = Data(text.utf8)
  guard !text.allSatisfy(\.isWhitespace) else {
    throw SidecarError("the sidecar is empty: write at least {\"prompt\": \"…\"}")
  }
  let object: [String: JSONSidecarValue]
  do {
    object = try JSONDecoder().decode([String: JSONSidecarValue].self, from: data)
  } catch DecodingError.dataCorrupted(let context) {
    throw SidecarError("the sidecar is not JSON" + (reason(context).map { ": " + $0 } ?? ""))
  } catch DecodingError.typeMismatch {
    throw SidecarError(
      "the sidecar is no object of keys and values: write at least {\"prompt\": \"…\"}")
  } catch {
    throw SidecarError("the sidecar is not JSON")
  }
  var seen: Set<String> = []
  for key in topLevelKeys(of: Array(data)) where !seen.insert(key).inserted {
    throw SidecarError("the key '\(displayName(key))' stands there twice: keep one of them")
  }
  return object.sorted { $0.key < $1.key }.map { ($0.key, $0.value.value) }
}

private func reason(_ context: DecodingError.Context) -> String? {
  guard let error = context.underlyingError as NSError? else { return nil }
  let text =
    (error.userInfo[NSDebugDescriptionErrorKey] as? String)
    ?? (error.userInfo["NSDebugDescription"] as? String)
  return text.map { displayName($0.trimmingCharacters(in: CharacterSet(charactersIn: ". \n"))) }
}

/// The keys of the outermost object as they stand in the text, twice where they stand twice (a
/// decoder keeps but one of them).
/// - Parameter text: well-formed JSON.
private func topLevelKeys(of text: [UInt8]) -> [String] {
  var keys: [String] = []
  var depth = 0
  var position = 0
  while position < text.count {
    switch text[position] {
    case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
    case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
    case UInt8(ascii: "\""):
      let start = position
      position += 1
      while position < text.count, text[position] != UInt8(ascii: "\"") {
        position += text[position] == UInt8(ascii: "\\") ? 2 : 1
      }
      let next = text[min(position + 1, text.count)...].first { !" \t\r\n".utf8.contains($0) }
      if depth == 1, next == UInt8(ascii: ":"), position < text.count,
        let key = try? JSONDecoder().decode(String.self, from: Data(text[start...position]))
      {
        keys.append(key)
      }
    default: break
    }
    position += 1
  }
  return keys
}

/// What a sidecar can use of a value.
struct JSONSidecarValue: Decodable {
  var value: SidecarValue

  init(from decoder: any Decoder) throws {
    if var list = try? decoder.unkeyedContainer() {
      var values: [SidecarValue] = []
      while !list.isAtEnd { values.append(try list.decode(Inner.self).value) }
      value = .list(values)
    } else if let mapping = try? decoder.container(keyedBy: AnyKey.self) {
      value = .mapping(
        try mapping.allKeys.reduce(into: [:]) {
          $0[$1.stringValue] = try mapping.decode(Inner.self, forKey: $1).value
        })
    } else {
      value = try SidecarValue(scalar: decoder.singleValueContainer())
    }
  }

  /// One in a list or a mapping: what lies deeper is not gone into.
  private struct Inner: Decodable {
    var value: SidecarValue

    init(from decoder: any Decoder) throws {
      let isNested =
        (try? decoder.unkeyedContainer()) != nil
        || (try? decoder.container(keyedBy: AnyKey.self)) != nil
      value = isNested ? .nested : try SidecarValue(scalar: decoder.singleValueContainer())
    }
  }

  private struct AnyKey: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }
}

extension SidecarValue {
  fileprivate init(scalar container: any SingleValueDecodingContainer) throws {
    if container.decodeNil() {
      self = .nothing
    } else if let flag = try? container.decode(Bool.self) {
      self = .flag(flag)
    } else if let text = try? container.decode(String.self) {
      self = .text(text)
    } else if let whole = try? container.decode(UInt64.self) {
      self = .whole(whole)
    } else {
      self = .number(try container.decode(Double.self))
    }
  }
}

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

/// Decodes without going into lists and mappings.
struct JSONSidecarValue: Decodable {
  var value: SidecarValue

  init(from decoder: any Decoder) throws {
    if (try? decoder.unkeyedContainer()) != nil {
      value = .list
    } else if (try? decoder.container(keyedBy: AnyKey.self)) != nil {
      value = .mapping
    } else {
      let container = try decoder.singleValueContainer()
      if container.decodeNil() {
        value = .nothing
      } else if let flag = try? container.decode(Bool.self) {
        value = .flag(flag)
      } else if let text = try? container.decode(String.self) {
        value = .text(text)
      } else if let whole = try? container.decode(UInt64.self) {
        value = .whole(whole)
      } else {
        value = .number(try container.decode(Double.self))
      }
    }
  }

  private struct AnyKey: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }
}

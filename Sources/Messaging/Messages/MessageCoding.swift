import Foundation
import JobQueue

/// How messages are written: JSON with sorted keys, and times in ISO 8601, UTC, with milliseconds.
public enum MessageCoding {
  /// A message's frames, as Docs/protocol.md lays them out.
  public static func frames<T: Encodable>(_ value: T, body: Data? = nil) throws -> [Data] {
    [ProtocolVersion.frame, try encode(value)] + (body.map { [$0] } ?? [])
  }

  /// A message that came, and its body.
  /// - Throws: `Refusal`, as it is to be told to whoever sent it. Any bytes are safe to pass.
  public static func message<T: Decodable>(_ type: T.Type, from frames: [Data]) throws -> (
    T, body: Data?
  ) {
    guard let first = frames.first, first == ProtocolVersion.frame else {
      throw Refusal(
        .version,
        "The first frame of a message must be '\(String(decoding: ProtocolVersion.frame, as: UTF8.self))'."
      )
    }
    guard (2...3).contains(frames.count) else {
      throw Refusal(.malformed, "A message has two or three frames, not \(frames.count).")
    }
    do {
      return (try decode(type, from: frames[1]), frames.count == 3 ? frames[2] : nil)
    } catch let error as MessagingError {
      throw Refusal(.malformed, error.description)
    } catch let error as SidecarError {
      throw Refusal(.settings, error.description)
    }
  }

  /// The name of a request that could otherwise not be read, so that its refusal can bear it.
  public static func requestID(in frames: [Data]) -> String? {
    struct Name: Decodable { var id: String? }
    guard frames.count >= 2, frames[1].count < 1 << 20,
      let id = (try? decoder.decode(Name.self, from: frames[1]))?.id,
      id.utf8.count <= NamedRequest.longestID
    else { return nil }
    return id
  }

  /// Whether a worker's message that could not be read would have been its last one about a job.
  public static func isOutcome(of job: JobID, _ frames: [Data]) -> Bool {
    struct Kind: Decodable {
      var type: String
      var job: JobID
    }
    guard frames.count >= 2, frames[1].count < 1 << 20,
      let kind = try? decoder.decode(Kind.self, from: frames[1])
    else { return false }
    return kind.job == job && ["done", "failed", "cancelled"].contains(kind.type)
  }

  // Making them costs more than a small message does.
  private static let encoder: JSONEncoder = {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.dateEncodingStrategy = .custom { date, encoder in
      var container = encoder.singleValueContainer()
      // The format cuts off what is below a millisecond, which a Double may be by a hair.
      try container.encode(date.addingTimeInterval(0.0001).formatted(withMilliseconds))
    }
    return encoder
  }()

  private static let decoder: JSONDecoder = {
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .custom { decoder in
      let container = try decoder.singleValueContainer()
      let text = try container.decode(String.self)
      guard
        let date = (try? Date(text, strategy: withMilliseconds))
          ?? (try? Date(text, strategy: .iso8601))
      else {
        throw DecodingError.dataCorruptedError(
          in: container,
          debugDescription: "must be a time such as 2025-01-31T12:34:56.789Z, not \(quoted(text))")
      }
      return date
    }
    return decoder
  }()

  public static func encode<T: Encodable>(_ value: T) throws -> Data {
    do {
      return try encoder.encode(value)
    } catch EncodingError.invalidValue(_, let context) {
      throw MessagingError(
        "A message cannot be written: \(path(context.codingPath)): \(context.debugDescription)")
    }
  }

  /// Throws a `MessagingError` whose one sentence says which field is wrong. Any bytes are safe to
  /// pass.
  public static func decode<T: Decodable>(_ type: T.Type, from data: Data) throws -> T {
    do {
      return try decoder.decode(type, from: data)
    } catch let error as DecodingError {
      throw MessagingError(sentence(for: error, in: data))
    }
  }

  private static let withMilliseconds = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

  private static func sentence(for error: DecodingError, in data: Data) -> String {
    switch error {
    case .keyNotFound(let key, let context):
      return "The message lacks the field “\(path(context.codingPath + [key]))”."
    case .valueNotFound(let type, let context):
      return
        "The message's field “\(path(context.codingPath))” must be \(name(of: type)), not null."
    case .typeMismatch(let type, let context):
      let found = context.debugDescription.firstRange(of: "but found ").map {
        context.debugDescription[$0.upperBound...]
      }
      let description =
        "\(name(of: type))\(found.map { ", not \($0.trimmingCharacters(in: ["."]))" } ?? "")"
      return context.codingPath.isEmpty
        ? "The message must be \(description)."
        : "The message's field “\(path(context.codingPath))” must be \(description)."
    case .dataCorrupted(let context):
      if !context.codingPath.isEmpty {
        let prefix = "Cannot initialize "
        if context.debugDescription.hasPrefix(prefix),
          let value = context.debugDescription.firstRange(of: " value ")
        {
          let text = String(context.debugDescription[value.upperBound...])
          return "The message's field “\(path(context.codingPath))” does not take \(quoted(text))."
        }
        return "The message's field “\(path(context.codingPath))” \(context.debugDescription)."
      }
      // The decoder says "not valid JSON" of a number that does not fit its field, too.
      if data.count < 1 << 16,
        (try? JSONSerialization.jsonObject(with: data, options: [.fragmentsAllowed])) != nil
      {
        return
          "The message holds a number that does not fit its field (too large, negative or not whole)."
      }
      return "The message is not JSON."
    @unknown default:
      return "The message is not understood."
    }
  }

  /// `submit.settings.steps`, `states[2]`; keys are a stranger's text, so they are cut short and
  /// cannot hold control characters.
  private static func path(_ keys: [any CodingKey]) -> String {
    var path = ""
    for key in keys {
      if let index = key.intValue {
        path += "[\(index)]"
      } else {
        path += (path.isEmpty ? "" : ".") + printable(key.stringValue)
      }
    }
    return path
  }

  private static func quoted(_ text: String) -> String { "“\(printable(text))”" }

  private static func printable(_ text: String) -> String {
    let longest = 80
    var result = ""
    for scalar in text.unicodeScalars.prefix(longest) {
      result.unicodeScalars.append(
        scalar.properties.generalCategory == .control ? "\u{FFFD}" : scalar)
    }
    return text.unicodeScalars.count > longest ? result + "…" : result
  }

  private static func name(of type: Any.Type) -> String {
    switch type {
    case is String.Type: "a text"
    case is any BinaryInteger.Type: "a whole number"
    case is any BinaryFloatingPoint.Type: "a number"
    case is Bool.Type: "true or false"
    case is [Any].Type: "a list"
    case is [String: Any].Type: "an object"
    default: "of another type"
    }
  }
}

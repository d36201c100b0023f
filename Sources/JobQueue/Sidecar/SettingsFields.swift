import EditSettings
import Foundation

/// Settings as JSON under the names that a sidecar has for them, for messages and for the store.
/// What is missing has its default.
public struct SettingsFields: Codable, Sendable, Equatable {
  public var settings: EditSettings

  public init(_ settings: EditSettings) { self.settings = settings }

  /// - Throws: `SidecarError` that names the key; `DecodingError` where it is no object.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.singleValueContainer().decode([String: JSONSidecarValue].self)
    settings = try Sidecar.settings(
      ofFields: values.sorted { $0.key < $1.key }.map { ($0.key, $0.value.value) })
  }

  public func encode(to encoder: any Encoder) throws {
    try settings.sidecarFields.encode(to: encoder)
  }

  var json: String {
    get throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
  }

  /// `nil` for what this version cannot read.
  init?(json: String) {
    guard let fields = try? JSONDecoder().decode(Self.self, from: Data(json.utf8)) else {
      return nil
    }
    self = fields
  }
}

extension EditSettings {
  /// The settings under the names that a sidecar has for them; what is not set is left out.
  var sidecarFields: [String: JSONValue] {
    let request = SidecarRequest(settings: self)
    return SidecarKey.all.reduce(into: [:]) { fields, key in
      if key.name != SidecarKey.priority.name { fields[key.name] = key.field(request) }
    }
  }
}

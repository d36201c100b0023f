import EditSettings
import Foundation

/// The file beside a clip that says how to edit it: `NAME.txt` holds the prompt alone, `NAME.yaml`,
/// `.yml` and `.json` hold keys.
public enum Sidecar {
  /// Bytes.
  public static let sizeLimit = 64 * 1024

  /// - Parameters:
  ///   - bytes: the file's content; UTF-8, with or without a byte order mark.
  ///   - fileExtension: `txt`, `yaml`, `yml` or `json`, in any case.
  /// - Throws: `SidecarError`
  public static func settings(from bytes: [UInt8], fileExtension: String) throws -> EditSettings {
    try request(from: bytes, fileExtension: fileExtension).settings
  }

  /// - Throws: `SidecarError`
  static func request(from bytes: [UInt8], fileExtension: String) throws -> SidecarRequest {
    let text = try text(of: bytes)
    switch fileExtension.lowercased() {
    case "txt": return try checked(SidecarRequest(settings: settingsOfPromptAlone(text)))
    case "json": return try checked(request(ofFields: jsonMapping(text)))
    default: return try checked(request(ofFields: yamlMapping(text)))
    }
  }

  /// The settings of a message, where the priority is none of them.
  /// - Throws: `SidecarError`
  static func settings(ofFields fields: [(key: String, value: SidecarValue)]) throws
    -> EditSettings
  {
    if fields.contains(where: { $0.key == SidecarKey.priority.name }) {
      throw SidecarError("'priority' is a field beside 'settings', not one of them")
    }
    return try checked(request(ofFields: fields)).settings
  }

  /// Settings with some of them changed.
  /// - Parameter assignments: `KEY=VALUE` each, the value as YAML has it; the later ones count.
  /// - Throws: `SidecarError`
  public static func setting(_ assignments: [String], in settings: EditSettings) throws
    -> EditSettings
  {
    var request = SidecarRequest(settings: settings)
    for assignment in assignments {
      guard let equals = assignment.firstIndex(of: "=") else {
        throw SidecarError("'\(displayName(assignment))' is no KEY=VALUE")
      }
      let (name, value) = (assignment[..<equals], assignment[assignment.index(after: equals)...])
      guard let key = SidecarKey.named(String(name)), key.name != SidecarKey.priority.name else {
        throw SidecarKey.unknown(String(name))
      }
      let values = try yamlMapping("\(name): \(value)")
      guard let value = values.first?.value, values.count == 1, key.set(value, &request) else {
        throw key.refused(values.first?.value.shown ?? "nothing")
      }
    }
    return try checked(request).settings
  }

  private static func checked(_ request: SidecarRequest) throws -> SidecarRequest {
    var request = request
    for prompt in [\EditSettings.prompt, \.sourcePrompt, \.negativePrompt] {
      request.settings[keyPath: prompt] = oneLine(request.settings[keyPath: prompt])
    }
    try SettingsLimits.check(request.settings)
    return request
  }

  private static func text(of bytes: [UInt8]) throws -> String {
    guard bytes.count <= sizeLimit else {
      throw SidecarError(
        "the sidecar is larger than \(sizeLimit / 1024) KiB: it holds a prompt and a few settings, nothing else"
      )
    }
    if bytes.starts(with: [0xff, 0xfe]) || bytes.starts(with: [0xfe, 0xff]) {
      throw SidecarError("the sidecar is UTF-16 text: save it as UTF-8")
    }
    let content = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? bytes[3...] : bytes[...]
    guard let text = String(validating: content, as: UTF8.self) else {
      throw SidecarError("the sidecar is not UTF-8 text: save it as UTF-8")
    }
    return text
  }

  private static func settingsOfPromptAlone(_ text: String) throws -> EditSettings {
    var parts = text.split(separator: "=>", omittingEmptySubsequences: false)
    // Whoever did not remember which arrow it is; where there are several, they are the prompt's own.
    for arrow in ["->", "→", "⇒"] where parts.count == 1 {
      let others = text.split(separator: arrow, omittingEmptySubsequences: false)
      if others.count == 2 { parts = others }
    }
    switch parts.count {
    case 1: return EditSettings(prompt: text)
    case 2: return EditSettings(prompt: String(parts[1]), sourcePrompt: String(parts[0]))
    default:
      throw SidecarError(
        "the sidecar has '=>' more than once: write what the video shows, '=>', and what it should show"
      )
    }
  }

  private static func request(ofFields fields: [(key: String, value: SidecarValue)]) throws
    -> SidecarRequest
  {
    var request = SidecarRequest(settings: EditSettings(prompt: ""))
    for key in SidecarKey.all {
      guard let other = key.otherName, fields.contains(where: { $0.key == other }),
        fields.contains(where: { $0.key == key.name })
      else { continue }
      throw SidecarError("'\(key.name)' and '\(other)' are the same: keep one of them")
    }
    for (name, value) in fields {
      guard let key = SidecarKey.named(name) else { throw SidecarKey.unknown(name) }
      // A key without a value means its default, but for the one that has none.
      if value == .nothing, !key.isRequired { continue }
      guard key.set(value, &request) else { throw key.refused(value.shown) }
    }
    for key in SidecarKey.all
    where key.isRequired && !fields.contains(where: { $0.key == key.name }) {
      throw SidecarError("the key '\(key.name)' is missing: it takes \(key.takes)")
    }
    return request
  }

  /// A prompt is one line: its ends are trimmed, and a line break inside, with the white space
  /// around it, becomes one space.
  private static func oneLine(_ text: String) -> String {
    text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }.filter {
      !$0.isEmpty
    }.joined(
      separator: " ")
  }
}

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

  /// The settings, and how urgent the edit is.
  /// - Throws: `SidecarError`
  static func request(from bytes: [UInt8], fileExtension: String) throws -> (
    settings: EditSettings, priority: Int
  ) {
    let text = try text(of: bytes)
    switch fileExtension.lowercased() {
    case "txt": return (try checked(settingsOfPromptAlone(text)), 0)
    case "json": return try request(ofFields: jsonMapping(text))
    default: return try request(ofFields: yamlMapping(text))
    }
  }

  /// The settings of a message, where the priority is none of them.
  /// - Throws: `SidecarError`
  static func settings(ofFields fields: [(key: String, value: SidecarValue)]) throws
    -> EditSettings
  {
    if fields.contains(where: { $0.key == SidecarKey.priority.rawValue }) {
      throw SidecarError("'priority' is a field beside 'settings', not one of them")
    }
    return try request(ofFields: fields).settings
  }

  private static func request(ofFields fields: [(key: String, value: SidecarValue)]) throws -> (
    settings: EditSettings, priority: Int
  ) {
    let (settings, priority) = try settingsOfKeys(fields)
    try SettingsLimits.check(priority: priority)
    return (try checked(settings), priority)
  }

  private static func checked(_ settings: EditSettings) throws -> EditSettings {
    var settings = settings
    settings.prompt = oneLine(settings.prompt)
    settings.sourcePrompt = oneLine(settings.sourcePrompt)
    settings.negativePrompt = oneLine(settings.negativePrompt)
    try SettingsLimits.check(settings)
    return settings
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
    let parts = text.split(separator: "=>", omittingEmptySubsequences: false)
    switch parts.count {
    case 1: return EditSettings(prompt: text)
    case 2: return EditSettings(prompt: String(parts[1]), sourcePrompt: String(parts[0]))
    default:
      throw SidecarError(
        "the sidecar has '=>' more than once: write what the video shows, '=>', and what it should show"
      )
    }
  }

  private static func settingsOfKeys(_ values: [(key: String, value: SidecarValue)]) throws
    -> (EditSettings, priority: Int)
  {
    var settings = EditSettings(prompt: "")
    var priority = 0
    var hasPrompt = false
    for (name, value) in values {
      guard let key = SidecarKey(rawValue: name) else { throw SidecarKey.unknown(name) }
      if key == .prompt { hasPrompt = true }
      // A key without a value means its default, but for the one that has none.
      if value == .nothing && key != .prompt { continue }
      try set(key, to: value, in: &settings, &priority)
    }
    guard hasPrompt else {
      throw SidecarError("the key 'prompt' is missing: it takes \(SidecarKey.prompt.takes)")
    }
    return (settings, priority)
  }

  private static func set(
    _ key: SidecarKey, to value: SidecarValue, in settings: inout EditSettings,
    _ priority: inout Int
  ) throws {
    func given<Value>(_ parsed: Value?) throws -> Value {
      guard let parsed else { throw key.refused(value.shown) }
      return parsed
    }
    func whole() throws -> Int { try given(value.asWhole.flatMap { Int(exactly: $0) }) }
    switch key {
    case .prompt: settings.prompt = try given(value.asText)
    case .sourcePrompt: settings.sourcePrompt = try given(value.asText)
    case .negativePrompt: settings.negativePrompt = try given(value.asText)
    case .method: settings.method = try given(value.asText.flatMap(EditingMethod.init(rawValue:)))
    case .inversion:
      settings.inversion = try given(value.asText.flatMap(InversionMethod.init(rawValue:)))
    case .steps: settings.steps = try whole()
    case .guidance: settings.guidance = try given(value.asNumber)
    case .frames: settings.frames = try whole()
    case .size: settings.size = try given(value.asText.flatMap { FrameSize($0) })
    case .seed: settings.seed = try given(value.asWhole)
    case .bases: settings.bases = try whole()
    case .iterations: settings.iterations = try whole()
    case .priority: priority = try given(value.asNumber.flatMap { Int(exactly: $0) })
    case .model: settings.model = try given(value.asText)
    case .precision:
      settings.precision = try given(value.asText.flatMap(PrecisionSetting.init(rawValue:)))
    }
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

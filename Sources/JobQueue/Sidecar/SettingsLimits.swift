import EditSettings
import Foundation

/// The limits of `EditSettings`, checked alike for sidecars and for requests over the control
/// socket.
public enum SettingsLimits {
  public static let steps = 1...1000
  public static let guidance = 0.0...100.0
  public static let bases = 1...65536
  public static let iterations = 1...1000
  public static let side = 8...8192
  public static let priority = -100...100
  /// Bytes of one prompt; a model reads some dozens of words. Also keeps every message that carries
  /// settings far below what a socket takes.
  public static let promptBytes = 4 << 10

  /// - Throws: `SidecarError` that names the first value out of its limits.
  public static func check(_ settings: EditSettings) throws {
    try check(text: settings.prompt, of: .prompt)
    guard !settings.prompt.allSatisfy(\.isWhitespace) else {
      throw SidecarError("the prompt is empty: 'prompt' takes \(SidecarKey.prompt.takes)")
    }
    try check(text: settings.sourcePrompt, of: .sourcePrompt)
    try check(text: settings.negativePrompt, of: .negativePrompt)
    guard steps.contains(settings.steps) else {
      throw SidecarKey.steps.refused("\(settings.steps)")
    }
    guard guidance.contains(settings.guidance) else {
      throw SidecarKey.guidance.refused("\(settings.guidance)")
    }
    if let frames = settings.frames, frames < 1 { throw SidecarKey.frames.refused("\(frames)") }
    if let size = settings.size {
      for length in [size.width, size.height] where !side.contains(length) || length % 8 != 0 {
        throw SidecarKey.size.refused("\(size)")
      }
    }
    guard bases.contains(settings.bases) else {
      throw SidecarKey.bases.refused("\(settings.bases)")
    }
    guard iterations.contains(settings.iterations) else {
      throw SidecarKey.iterations.refused("\(settings.iterations)")
    }
    if let model = settings.model {
      guard !model.isEmpty, model.utf8.count <= 255, model.utf8.first != 0x2e,
        !model.utf8.contains(0x2f),
        !model.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
      else { throw SidecarKey.model.refused("'\(displayName(String(model.prefix(80))))'") }
    }
  }

  /// - Throws: `SidecarError`
  public static func check(priority value: Int) throws {
    guard priority.contains(value) else { throw SidecarKey.priority.refused("\(value)") }
  }

  private static func check(text: String, of key: SidecarKey) throws {
    guard text.utf8.count <= promptBytes else {
      throw SidecarError(
        "'\(key.rawValue)' is longer than \(promptBytes / 1024) KiB: a model reads some dozens of words"
      )
    }
    if let control = text.unicodeScalars.first(where: {
      $0.properties.generalCategory == .control && !$0.properties.isWhitespace
    }) {
      throw SidecarError(
        "'\(key.rawValue)' holds a control character (U+\(String(control.value, radix: 16, uppercase: true)))"
      )
    }
  }
}

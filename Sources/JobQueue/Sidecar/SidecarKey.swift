import EditSettings

/// The keys of a sidecar, and what each takes.
enum SidecarKey: String, CaseIterable {
  case prompt
  case sourcePrompt = "source_prompt"
  case negativePrompt = "negative_prompt"
  case method, inversion, steps, guidance, frames, size, seed, bases,
    iterations, model, precision, priority

  /// Completes the sentence "'steps' takes …".
  var takes: String {
    switch self {
    case .prompt: "the text that the edited video should show"
    case .sourcePrompt: "the text that the video shows now"
    case .negativePrompt: "the text that the edited video should not show"
    case .method: "one of " + EditingMethod.allCases.map(\.rawValue).joined(separator: ", ")
    case .inversion: "one of " + InversionMethod.allCases.map(\.rawValue).joined(separator: ", ")
    case .steps:
      "a whole number from \(SettingsLimits.steps.lowerBound) to \(SettingsLimits.steps.upperBound)"
    case .guidance: "a number from 0 to 100"
    case .frames: "a whole number from 1 up"
    case .size: "WIDTHxHEIGHT in pixels, such as 512x320, both multiples of 8 from 8 to 8192"
    case .seed: "a whole number from 0 to \(UInt64.max)"
    case .bases:
      "a whole number from \(SettingsLimits.bases.lowerBound) to \(SettingsLimits.bases.upperBound)"
    case .iterations:
      "a whole number from \(SettingsLimits.iterations.lowerBound) to \(SettingsLimits.iterations.upperBound)"
    case .priority:
      "a whole number from \(SettingsLimits.priority.lowerBound) to \(SettingsLimits.priority.upperBound); the greater ones begin first"
    case .model: "the plain name of a folder among the models"
    case .precision: "one of " + PrecisionSetting.allCases.map(\.rawValue).joined(separator: ", ")
    }
  }

  func refused(_ given: String) -> SidecarError {
    SidecarError("'\(rawValue)' takes \(takes), not \(given)")
  }

  static func unknown(_ key: String) -> SidecarError {
    let shown = key.count > 60 ? displayName(String(key.prefix(60))) + "…" : displayName(key)
    let suggestion =
      nearestName(to: key, among: allCases.map(\.rawValue)).map { "did you mean '\($0)'? " } ?? ""
    let all = allCases.map(\.rawValue).joined(separator: ", ")
    return SidecarError("unknown key '\(shown)': \(suggestion)A sidecar takes \(all)")
  }
}

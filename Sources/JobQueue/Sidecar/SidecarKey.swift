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
    let plain = key.prefix(60).lowercased().filter { $0.isLetter }
    let nearest = allCases.map {
      (key: $0, distance: editDistance(plain, $0.rawValue.filter { $0.isLetter }))
    }.min {
      $0.distance < $1.distance
    }
    let suggestion =
      nearest.flatMap { $0.distance <= 2 ? "did you mean '\($0.key.rawValue)'? " : nil } ?? ""
    let all = allCases.map(\.rawValue).joined(separator: ", ")
    return SidecarError("unknown key '\(shown)': \(suggestion)A sidecar takes \(all)")
  }

  /// How many letters must be put in, taken out or replaced (Levenshtein).
  private static func editDistance(_ from: String, _ to: String) -> Int {
    let from = Array(from)
    let to = Array(to)
    var row = Array(0...to.count)
    for i in from.indices {
      var diagonal = row[0]
      row[0] = i + 1
      for j in to.indices {
        let substituted = diagonal + (from[i] == to[j] ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(substituted, row[j] + 1, diagonal + 1)
      }
    }
    return row[to.count]
  }
}

import EditSettings

/// The limits of `EditSettings`, checked alike for sidecars and for requests over the control
/// socket.
public enum SettingsLimits {
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
    try check(SidecarRequest(settings: settings))
    if let inversionSteps = settings.inversionSteps, inversionSteps % settings.steps != 0 {
      throw SidecarError(
        "'inversion_steps' takes a multiple of the \(settings.steps) 'steps', not \(inversionSteps)"
      )
    }
    try checkMethod(of: settings)
  }

  /// What the method does not know is not left unsaid.
  private static func checkMethod(of settings: EditSettings) throws {
    let plain = SidecarRequest(settings: EditSettings(prompt: ""))
    for key in SidecarKey.all {
      guard let methods = key.methods, !key.isKnown(to: settings.method),
        key.field(SidecarRequest(settings: settings)) != key.field(plain)
      else { continue }
      let names = methods.map(\.rawValue).joined(separator: " and ")
      throw SidecarError(
        "'\(key.name)' is for \(names); \(settings.method.rawValue) has no use for it")
    }
  }

  /// - Throws: `SidecarError`
  public static func check(priority: Int) throws {
    try check(SidecarRequest(settings: EditSettings(prompt: ""), priority: priority))
  }

  /// What a key would not take from a file, nobody may ask for.
  private static func check(_ request: SidecarRequest) throws {
    for key in SidecarKey.all {
      guard let field = key.field(request) else { continue }
      var unused = request
      let value = SidecarValue(field)
      guard key.set(value, &unused) else { throw key.refused(value.shown) }
    }
  }

  private static func check(text: String, of key: SidecarKey) throws {
    guard text.utf8.count <= promptBytes else {
      throw SidecarError(
        "'\(key.name)' is longer than \(promptBytes / 1024) KiB: a model reads some dozens of words"
      )
    }
    if let control = text.unicodeScalars.first(where: {
      $0.properties.generalCategory == .control && !$0.properties.isWhitespace
    }) {
      throw SidecarError(
        "'\(key.name)' holds a control character (U+\(String(control.value, radix: 16, uppercase: true)))"
      )
    }
  }
}

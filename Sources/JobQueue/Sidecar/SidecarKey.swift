import EditSettings

/// One key of a sidecar: what it takes, and which setting it is.
struct SidecarKey: Sendable {
  private(set) var name: String
  /// What else it is called in a sidecar; messages and results have its name.
  let otherName: String?
  /// Completes the sentence "'steps' takes …".
  let takes: String
  /// Whether it has no default.
  let isRequired: Bool
  /// The methods of editing that know it; `nil` for all.
  let methods: [EditingMethod]?
  /// - Returns: whether it takes the value.
  let set: @Sendable (SidecarValue, inout SidecarRequest) -> Bool
  /// The value as JSON; `nil` where the setting has none.
  let field: @Sendable (SidecarRequest) -> JSONValue?

  private init<Value: Sendable>(
    _ name: String, _ path: WritableKeyPath<SidecarRequest, Value> & Sendable,
    _ kind: SidecarKind<Value>, isRequired: Bool = false, for methods: EditingMethod...
  ) {
    self.init(
      name, or: nil, path, takes: kind.takes, read: kind.read, write: kind.write,
      isRequired: isRequired, methods)
  }

  /// One that may have no value.
  private init<Value: Sendable>(
    _ name: String, or otherName: String? = nil,
    _ path: WritableKeyPath<SidecarRequest, Value?> & Sendable,
    _ kind: SidecarKind<Value>, for methods: EditingMethod...
  ) {
    self.init(
      name, or: otherName, path, takes: kind.takes, read: { kind.read($0).map(Optional.some) },
      write: { $0.map(kind.write) }, isRequired: false, methods)
  }

  private init<Stored>(
    _ name: String, or otherName: String?,
    _ path: WritableKeyPath<SidecarRequest, Stored> & Sendable, takes: String,
    read: @escaping @Sendable (SidecarValue) -> Stored?,
    write: @escaping @Sendable (Stored) -> JSONValue?, isRequired: Bool,
    _ methods: [EditingMethod]
  ) {
    (self.name, self.otherName) = (name, otherName)
    (self.takes, self.isRequired) = (takes, isRequired)
    self.methods = methods.isEmpty ? nil : methods
    set = { value, request in
      guard let value = read(value) else { return false }
      request[keyPath: path] = value
      return true
    }
    field = { write($0[keyPath: path]) }
  }

  func isKnown(to method: EditingMethod) -> Bool { methods?.contains(method) ?? true }

  func refused(_ given: String) -> SidecarError {
    SidecarError("'\(name)' takes \(takes), not \(given)")
  }
}

/// What a sidecar asks for: settings, and how urgent the edit is.
struct SidecarRequest: Sendable {
  var settings: EditSettings
  var priority = 0
}

extension SidecarKey {
  static let prompt = Self(
    "prompt", \.settings.prompt, .text("the text that the edited video should show"),
    isRequired: true)
  static let sourcePrompt = Self(
    "source_prompt", \.settings.sourcePrompt, .text("the text that the video shows now"))
  static let negativePrompt = Self(
    "negative_prompt", \.settings.negativePrompt,
    .text("the text that the edited video should not show"))
  static let priority = Self(
    "priority", \.priority, .whole(-100...100, "; the greater ones begin first"))

  static let all = [
    prompt, sourcePrompt, negativePrompt,
    Self("method", \.settings.method, .choice),
    Self("inversion", \.settings.inversion, .choice),
    Self("steps", \.settings.steps, .whole(1...1000)),
    Self("inversion_steps", \.settings.inversionSteps, .whole(1...1000, ", a multiple of 'steps'")),
    Self("guidance", \.settings.guidance, .number(0...100)),
    Self("start", \.settings.start, .number(0...1_000_000)),
    Self("frames", or: "count", \.settings.frames, .whole(1...Int.max)),
    Self("every", \.settings.every, .whole(1...1_000_000)),
    Self("size", \.settings.size, .size),
    Self("output_size", \.settings.outputSize, .choice),
    Self("seed", \.settings.seed, .seed),
    Self("bases", \.settings.bases, .whole(1...65536)),
    Self("iterations", \.settings.iterations, .whole(1...1000)),
    Self("temperature", \.settings.temperature, .number(0.0001...1000)),
    Self("bases_of", \.settings.basesOf, .choice),
    Self("empty_bases", \.settings.emptyBases, .choice),
    Self(
      "attention_share", \.settings.options.attentionShare, .number(0...1), for: .tokenflow,
      .fatezero),
    Self("feature_share", \.settings.options.featureShare, .number(0...1), for: .tokenflow),
    Self(
      "cross_attention_share", \.settings.options.crossAttentionShare, .number(0...1),
      for: .fatezero),
    Self("group_size", \.settings.options.groupSize, .whole(1...64), for: .tokenflow),
    Self("blending", \.settings.options.blending, .choice, for: .tokenflow),
    Self("free_u", \.settings.options.freeU, .flag, for: .tokenflow),
    Self("pull", \.settings.options.pull, .number(0...1000), for: .pix2video),
    Self(
      "image_guidance", \.settings.options.imageGuidance, .number(0...100), for: .text2videoZero),
    Self("emphasis", \.settings.options.emphasis, .factors, for: .fatezero),
    Self("replace_words", \.settings.options.replaceWords, .flag, for: .fatezero),
    Self("blend_words", \.settings.options.blendWords, .words, for: .fatezero),
    Self("blend_threshold", \.settings.options.blendThreshold, .number(0...1), for: .fatezero),
    Self("model", \.settings.model, .name),
    Self("loras", \.settings.loras, .loras),
    Self("precision", \.settings.precision, .choice),
    Self("reconstruction", \.settings.reconstruction, .flag),
    priority,
  ]

  /// The key under either of its names, which it then has.
  static func named(_ name: String) -> SidecarKey? { byName[name] }

  /// All that a sidecar may have.
  static let names = all.flatMap { [$0.name] + ($0.otherName.map { [$0] } ?? []) }

  private static let byName = Dictionary(
    uniqueKeysWithValues: all.flatMap { key in
      [(key.name, key)] + (key.otherName.map { [($0, key.called($0))] } ?? [])
    })

  private func called(_ name: String) -> SidecarKey {
    var key = self
    key.name = name
    return key
  }

  static func unknown(_ key: String) -> SidecarError {
    let shown = key.count > 60 ? displayName(String(key.prefix(60))) + "…" : displayName(key)
    let advice =
      nearestName(to: key, among: names).map {
        "did you mean '\($0)'? stemd-sidecar(5) has them all"
      }
      ?? "a sidecar takes \(names.joined(separator: ", "))"
    return SidecarError("unknown key '\(shown)': \(advice)")
  }
}

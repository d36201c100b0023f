/// One setting for whoever asks: its value, and where that comes from.
public struct ConfigurationValue: Codable, Sendable, Equatable {
  public enum Source: String, Codable, Sendable {
    case standard = "default"
    case file, variable, option
  }

  /// `workers`, `limits.run_time`.
  public var key: String
  /// As it stands in a file; `nil` where there is none, and `meaning` says what holds.
  public var value: String?
  public var meaning: String?
  public var from: Source
  /// The file that it comes from.
  public var file: String?
  public var line: Int?
  /// The variable or option that it comes from.
  public var name: String?
  /// What will hold after a restart, where that is something else: a value, or what it means to
  /// have none.
  public var afterRestart: String?

  enum CodingKeys: String, CodingKey {
    case key, value, meaning, from, file, line, name
    case afterRestart = "after_restart"
  }
}

extension ConfigurationValue {
  init(_ key: ConfigurationKey, _ configuration: ResolvedConfiguration) {
    self.key = key.name
    value = key.text(configuration.values)
    meaning = value == nil ? key.absent : nil
    switch configuration.origin(of: key) {
    case .standard: from = .standard
    case .file(let path, let line): (from, file, self.line) = (.file, path, line)
    case .variable(let name): (from, self.name) = (.variable, name)
    case .option(let name): (from, self.name) = (.option, name)
    }
  }

  /// `default`, `/etc/stemd/stemd.yaml, line 3`, `$STEMD_WORKERS`, `--workers`.
  public var origin: String {
    switch from {
    case .standard: ConfigurationOrigin.standard.description
    case .file: ConfigurationOrigin.file(file ?? "", line: line).description
    case .variable: ConfigurationOrigin.variable(name ?? "").description
    case .option: ConfigurationOrigin.option(name ?? "").description
    }
  }
}

extension ResolvedConfiguration {
  /// All settings, in the order in which they are documented.
  /// - Parameters:
  ///   - meanings: what holds for settings without a value, where more is known of that than its
  ///     rule.
  ///   - waiting: what was read since, and counts after a restart.
  public func list(
    meanings: [String: String] = [:], waiting: ResolvedConfiguration? = nil
  ) -> [ConfigurationValue] {
    ConfigurationKey.all.map { key in
      var value = ConfigurationValue(key, self)
      if value.value == nil, let meaning = meanings[key.name] { value.meaning = meaning }
      if let waiting, !key.isEqual(values, waiting.values) {
        value.afterRestart = key.words(waiting.values)
      }
      return value
    }
  }
}

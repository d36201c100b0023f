/// One setting that a reload found changed.
public struct ConfigurationChange: Equatable, Sendable {
  public var key: String
  /// In words, where there is no value.
  public var before: String
  public var after: String
  /// Of the new value.
  public var origin: ConfigurationOrigin
  public var needsRestart: Bool
}

extension ResolvedConfiguration {
  /// Takes over from what was read anew whatever may change while stemd runs.
  /// - Returns: what has changed, in the order in which the settings are documented; the ones that
  ///   need a restart keep their values.
  public mutating func reload(from read: ResolvedConfiguration) -> [ConfigurationChange] {
    var changes: [ConfigurationChange] = []
    for key in ConfigurationKey.all {
      let needsRestart = key.change == .atRestart
      if !key.isEqual(values, read.values) {
        changes.append(
          ConfigurationChange(
            key: key.name, before: key.words(values), after: key.words(read.values),
            origin: read.origin(of: key), needsRestart: needsRestart))
        if needsRestart { continue }
      }
      // The same value may come from somewhere else now.
      adopt(key, from: read)
    }
    (files, warnings) = (read.files, read.warnings)
    return changes
  }
}

extension ConfigurationKey {
  /// The value, or what it means to have none.
  func words(_ configuration: Configuration) -> String { text(configuration) ?? absent ?? "" }
}

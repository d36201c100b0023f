import Foundation
import JobQueue

/// Where settings come from, the later before the earlier: the defaults, the file, its drop-ins in
/// the order of their names, the environment, the command line's options.
public struct ConfigurationSources: Sendable {
  public struct Option: Sendable {
    /// `--workers`.
    public var option: String
    /// The setting's name.
    public var key: String
    public var text: String

    public init(_ option: String, key: String, text: String) {
      (self.option, self.key, self.text) = (option, key, text)
    }
  }

  /// `nil` for `Configuration.defaultPath`, if there is one.
  public var file: String?
  public var environment: [String: String]
  public var options: [Option]

  public init(
    file: String? = nil, environment: [String: String] = ProcessInfo.processInfo.environment,
    options: [Option] = []
  ) {
    (self.file, self.environment, self.options) = (file, environment, options)
  }

  /// The file whose settings count, whether it is there or not.
  public var path: String { file ?? Configuration.defaultPath }
  /// The folder beside it.
  public var dropInFolder: String { path + ".d" }

  /// Reads everything anew.
  /// - Throws: `ConfigurationError` that says where which value is wrong, and what it takes.
  public func load() throws -> ResolvedConfiguration {
    var resolved = ResolvedConfiguration()
    if file != nil || access(path, F_OK) == 0 || errno != ENOENT { try read(path, &resolved) }
    for dropIn in try dropIns(&resolved) { try read(dropIn, &resolved) }
    try applyEnvironment(to: &resolved)
    try applyOptions(to: &resolved)
    try resolved.checkVideo()
    return resolved
  }

  private func read(_ path: String, _ resolved: inout ResolvedConfiguration) throws {
    try ConfigurationFile(path: path).apply(to: &resolved)
    resolved.files.append(path)
  }

  private func dropIns(_ resolved: inout ResolvedConfiguration) throws -> [String] {
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: dropInFolder)
    } catch {
      var status = stat()
      // No folder, or a main file such as /dev/null: no drop-ins.
      if stat(dropInFolder, &status) != 0, errno == ENOENT || errno == ENOTDIR { return [] }
      throw ConfigurationError(
        "the drop-ins in \(displayName(dropInFolder)) cannot be listed: \(String(cString: strerror(errno)))"
      )
    }
    let visible = names.filter { !$0.hasPrefix(".") }.sorted {
      $0.utf8.lexicographicallyPrecedes($1.utf8)
    }
    for name in visible where name.hasSuffix(".yml") || name.hasSuffix(".conf") {
      resolved.warnings.append(
        "\(displayName(dropInFolder + "/" + name)) is not read: the name of a drop-in ends in .yaml"
      )
    }
    return visible.filter { $0.hasSuffix(".yaml") }.map { dropInFolder + "/" + $0 }
  }

  /// Variables of this prefix that other programs of the house read, and no settings.
  private static let otherVariables: Set<String> = [
    "STEMD_ROOT", "STEMD_CONNECT", "STEMD_SERVER_KEY", "STEMD_KEY",
  ]

  private func applyEnvironment(to resolved: inout ResolvedConfiguration) throws {
    let keys = Dictionary(uniqueKeysWithValues: ConfigurationKey.all.map { ($0.variable, $0) })
    for (name, text) in environment.sorted(by: { $0.key < $1.key })
    where name.hasPrefix(ConfigurationKey.variablePrefix) && !text.isEmpty
      && !Self.otherVariables.contains(name)
    {
      if let key = keys[name] {
        try resolved.set(key, to: key.node(text), from: .variable(name))
      } else {
        // No reason not to start: container systems make variables of every service's name.
        let nearest = nearestName(to: name, among: Array(keys.keys)).map { ": did you mean \($0)?" }
        resolved.warnings.append(
          "the variable \(displayName(name)) is no setting, and is ignored\(nearest ?? "")")
      }
    }
  }

  private func applyOptions(to resolved: inout ResolvedConfiguration) throws {
    for option in options {
      guard let key = ConfigurationKey.named(option.key) else { continue }
      try resolved.set(key, to: key.node(option.text), from: .option(option.option))
    }
  }

  /// - Throws: `ConfigurationError` where an option is wrong, whatever the files say.
  public func checkOptions() throws {
    var resolved = ResolvedConfiguration()
    try applyOptions(to: &resolved)
  }
}

import Foundation

/// Where the models lie.
public struct ModelFolders: Sendable {
  /// The model that comes with stemd.
  public static let ownModel = "tiny-world"

  /// The folder that holds the models: a folder or a safetensors file for each.
  public var path: String
  /// The model of jobs that name none.
  public var defaultName: String

  public init(path: String, defaultName: String) {
    (self.path, self.defaultName) = (path, defaultName)
  }

  /// `$STEMD_MODELS`, or a folder `Models` (as in a build tree) or `share/stemd/models` (as below an
  /// installation's prefix) beside the executable or above it, or the system's.
  /// - Parameter executableFolder: where the running program lies.
  public static func defaultPath(near executableFolder: String = ModelFolders.executableFolder)
    -> String
  {
    if let path = ProcessInfo.processInfo.environment["STEMD_MODELS"], !path.isEmpty { return path }
    var folder = executableFolder
    while folder.count > 1 {
      for candidate in [folder + "/Models", folder + "/share/stemd/models"]
      where isFolder(candidate) {
        return candidate
      }
      folder = (folder as NSString).deletingLastPathComponent
    }
    return "/usr/share/stemd/models"
  }

  /// The absolute path of a model: the folder NAME, or the file NAME.safetensors.
  ///
  /// A file that is named as pickled models are is found as well: whoever opens it says why it is
  /// not read.
  ///
  /// - Parameter name: may be a stranger's; nothing outside of the models' folder is found, unless a
  ///   link there leads to it.
  /// - Throws: `MissingModel`
  public func path(named name: String?) throws -> String {
    let name = name ?? defaultName
    guard Self.isName(name) else {
      throw MissingModel(
        description:
          "'\(displayName(name))' is no name of a model: it takes the name of a folder in \(displayName(path)), or of a file without its .safetensors"
      )
    }
    let model = path + "/" + name
    if Self.isFolder(model) { return model }
    let file = ([model] + Self.endings.map { "\(model).\($0)" }).first { path in
      Self.endings.contains { path.hasSuffix(".\($0)") }
        && FileManager.default.fileExists(atPath: path) && !Self.isFolder(path)
    }
    guard let file else {
      throw MissingModel(
        description:
          "there is no model '\(displayName(name))': neither the folder \(displayName(model)) nor the file \(displayName(model)).safetensors exists; put it there, or name another model\(Self.suggestion(for: name, among: names))"
      )
    }
    return file
  }

  /// The absolute path of a LoRA: the file NAME.safetensors in the folder `loras` among the models.
  ///
  /// - Parameter name: as of `path`.
  /// - Throws: `MissingModel`
  public func lora(named name: String) throws -> String {
    let place = "\(path)/\(Self.lorasName)/\(name)"
    // Pickles are for the worker to refuse, with the reason.
    func found() -> String? {
      Self.endings.map { "\(place).\($0)" }.first {
        FileManager.default.fileExists(atPath: $0) && !Self.isFolder($0)
      }
    }
    guard Self.isName(name), let file = found() else {
      throw MissingModel(
        description:
          "there is no LoRA '\(displayName(name))': the file \(displayName(place)).safetensors does not exist; put it there, or name another\(Self.suggestion(for: name, among: loraNames))"
      )
    }
    return file
  }

  /// The absolute paths of LoRAs, by name.
  /// - Throws: `MissingModel`
  public func loras(named names: some Sequence<String>) throws -> [String: String] {
    try names.reduce(into: [:]) { $0[$1] = try lora(named: $1) }
  }

  /// The folder of LoRAs, which is no model.
  private static let lorasName = "loras"

  /// The names of all that lies in the folder and may be a model, sorted.
  public var names: [String] {
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    let names = entries.filter(Self.isName).compactMap { entry -> String? in
      if Self.isFolder(path + "/" + entry) { return entry == Self.lorasName ? nil : entry }
      let ending = Self.endings.first { entry.hasSuffix(".\($0)") }
      return ending.map { String(entry.dropLast($0.count + 1)) }
    }
    return Set(names).sorted()
  }

  /// The names of the LoRAs among the models, sorted.
  public var loraNames: [String] {
    let entries = try? FileManager.default.contentsOfDirectory(atPath: path + "/" + Self.lorasName)
    return (entries ?? []).filter { Self.isName($0) && $0.hasSuffix(".safetensors") }.map {
      String($0.dropLast(".safetensors".count))
    }.sorted()
  }

  private static func suggestion(for name: String, among names: [String]) -> String {
    nearestName(to: name, among: names).map { " (did you mean '\(displayName($0))'?)" } ?? ""
  }

  /// Of files that are models, or that people take for such.
  private static let endings = ["safetensors", "ckpt", "pt", "pth", "bin"]

  /// Whether a text is a plain name, and no path.
  static func isName(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.count <= 255 && name.utf8.first != 0x2e && !name.utf8.contains(0x2f)
      && !name.unicodeScalars.contains { $0.properties.generalCategory == .control }
  }

  /// The folder that this program's own executable lies in, links resolved, without a slash at its
  /// end.
  public static var executableFolder: String {
    let path =
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
      ?? CommandLine.arguments[0]
    return (path as NSString).deletingLastPathComponent
  }

  private static func isFolder(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
      && isFolder.boolValue
  }
}

public struct MissingModel: Error, CustomStringConvertible {
  public let description: String
}

import Foundation

/// Where the models lie.
public struct ModelFolders: Sendable {
  /// The model that comes with stemd.
  public static let ownModel = "tiny-world"

  /// The folder that holds one folder a model.
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

  /// The absolute path of a model's folder.
  /// - Throws: `MissingModel`
  public func folder(named name: String?) throws -> String {
    let name = name ?? defaultName
    let folder = path + "/" + name
    guard Self.isFolder(folder) else {
      throw MissingModel(
        description:
          "there is no model '\(displayName(name))': the folder \(displayName(folder)) does not exist; install it there, or name another model"
      )
    }
    return folder
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

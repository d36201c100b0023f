import Foundation
import JobQueue

/// Where the models lie.
struct ModelFolders {
    /// The folder that holds one folder a model.
    var path: String
    /// The model of jobs that name none.
    var defaultName: String

    /// `$STEMD_MODELS`, or a folder `Models` beside the executable or above it (as in a build tree), or the system's.
    static func defaultPath(near executableFolder: String) -> String {
        if let path = ProcessInfo.processInfo.environment["STEMD_MODELS"], !path.isEmpty { return path }
        var folder = executableFolder
        while folder.count > 1 {
            let candidate = folder + "/Models"
            if isFolder(candidate) { return candidate }
            folder = (folder as NSString).deletingLastPathComponent
        }
        return "/usr/share/stemd/models"
    }

    /// The absolute path of a model's folder.
    /// - Throws: `MissingModel`
    func folder(named name: String?) throws -> String {
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

    private static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }
}

struct MissingModel: Error, CustomStringConvertible {
    let description: String
}

import ArgumentParser
import Foundation

/// Where models are found by name.
enum ModelsFolder {
    static let defaultModel = "tiny-world"

    /// A model's folder: a path as it is (anything with a slash, or an existing folder), a bare name below the first models folder that has it.
    static func find(_ model: String?) throws -> URL {
        let name = model ?? defaultModel
        if model != nil, name.contains("/") || isFolder(URL(fileURLWithPath: name)) { return URL(fileURLWithPath: name) }
        let places = candidates
        guard let found = places.map({ $0.appending(path: name) }).first(where: isFolder) else {
            throw ValidationError("There is no model '\(name)' in \(places.map { $0.path(percentEncoded: false) }.joined(separator: ", ")): name its folder with --model.")
        }
        return found
    }

    /// $STEMD_MODELS, a `Models` folder beside or above this program (a checkout), the installed ones.
    static var candidates: [URL] {
        var places = ProcessInfo.processInfo.environment["STEMD_MODELS"].map { [URL(fileURLWithPath: $0)] } ?? []
        var folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        while folder.path(percentEncoded: false) != "/" {
            let models = folder.appending(path: "Models")
            if isFolder(models) { places.append(models) }
            folder.deleteLastPathComponent()
        }
        places.append(URL(fileURLWithPath: "/usr/share/stemd/models"))
        return places
    }

    private static func isFolder(_ url: URL) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: url.path(percentEncoded: false), isDirectory: &isFolder) && isFolder.boolValue
    }
}

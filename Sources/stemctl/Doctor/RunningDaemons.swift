import Foundation
import JobQueue

/// The stemds of this machine, as far as the system lets one see others' processes.
enum RunningDaemons {
  /// The root of each.
  static var roots: [String] {
    let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    let roots = processes.filter { $0.allSatisfy(\.isNumber) }.compactMap { process -> String? in
      guard let line = FileManager.default.contents(atPath: "/proc/\(process)/cmdline") else {
        return nil
      }
      return root(arguments: line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }) {
        try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/cwd")
      }
    }
    return Set(roots).sorted()
  }

  /// - Parameters:
  ///   - arguments: of any program.
  ///   - folder: where it runs.
  /// - Returns: `nil` where it is no stemd, or nobody knows its folder.
  static func root(arguments: [String], in folder: () -> String?) -> String? {
    guard arguments.first?.split(separator: "/").last == "stemd" else { return nil }
    var root = "/var/spool/stemd"
    for (index, argument) in arguments.enumerated() {
      if argument == "--root", arguments.indices.contains(index + 1) { root = arguments[index + 1] }
      if argument.hasPrefix("--root=") { root = String(argument.dropFirst("--root=".count)) }
    }
    if !root.hasPrefix("/") {
      guard let folder = folder() else { return nil }
      root = folder + "/" + root
    }
    return SpoolFolders(root: URL(filePath: root, directoryHint: .isDirectory)).rootPath
  }
}

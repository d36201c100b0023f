import Foundation

/// What tells on this machine whether files are others, or somebody has touched them, without
/// reading them: where they lie, their numbers on the disk, their sizes and when they were changed.
public enum FileStamp {
  /// - Parameter urls: files, and folders with all that is in them, wherever links lead. What is not
  ///   there has a stamp, too.
  public static func text(of urls: [URL]) -> String {
    urls.map { url in
      let path = url.path(percentEncoded: false)
      return ([realPath(path)] + lines(path, depth: 0)).joined(separator: "\n")
    }.joined(separator: "\n")
  }

  /// Deeper than any model goes; links may lead round in a circle.
  private static let deepest = 4

  private static func lines(_ path: String, depth: Int) -> [String] {
    var status = stat()
    guard stat(path, &status) == 0 else { return ["nothing"] }
    if status.st_mode & S_IFMT == S_IFDIR {
      guard depth < deepest else { return [] }
      let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
      return names.sorted().flatMap { [$0] + lines("\(path)/\($0)", depth: depth + 1) }
    }
    let changed = status.st_mtim
    return ["\(status.st_ino) \(status.st_size) \(changed.tv_sec).\(changed.tv_nsec)"]
  }

  private static func realPath(_ path: String) -> String {
    guard let resolved = realpath(path, nil) else { return path }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}

import Foundation

/// What tells whether somebody has touched files, without reading them: where they lie on the disk,
/// their sizes and when they were changed.
public enum FileStamp {
  /// - Parameter urls: files, and folders with all that is in them. What is not there has a stamp,
  ///   too.
  public static func text(of urls: [URL]) -> String {
    urls.flatMap { url in [url] + contents(of: url) }.map { url in
      var status = stat()
      guard stat(url.path(percentEncoded: false), &status) == 0 else { return "-" }
      guard status.st_mode & S_IFMT == S_IFREG else { return "" }
      return
        "\(status.st_dev) \(status.st_ino) \(status.st_size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
    }.joined(separator: "\n")
  }

  private static func contents(of folder: URL) -> [URL] {
    let found = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
    return (found?.allObjects ?? []).compactMap { $0 as? URL }.sorted { $0.path < $1.path }
  }
}

import Foundation

/// Files of models, which must be regular ones: whoever opens a pipe may wait for ever.
public enum RegularFile {
  /// Whether a path, links followed, is that of a regular file.
  public static func isAt(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  /// The whole content of a file that is small where it is what it should be, such as a configuration.
  ///
  /// - Returns: `nil` where there is no regular file, or none that can be read and has fewer than
  ///   `limit` bytes.
  public static func contents(of url: URL, limit: Int = 256 << 20) -> Data? {
    guard isAt(url.path(percentEncoded: false)), let file = try? FileHandle(forReadingFrom: url),
      let data = try? file.read(upToCount: limit), data.count < limit
    else { return nil }
    return data
  }
}

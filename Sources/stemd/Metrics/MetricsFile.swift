import Foundation
import JobQueue

/// A file for the textfile collector of Prometheus' node_exporter, which may read it at any moment:
/// it is always whole.
struct MetricsFile: Sendable {
  let path: String

  /// In the same folder, under a name that the collector does not read.
  private var aside: String {
    let url = URL(filePath: path)
    return url.deletingLastPathComponent().appending(path: ".\(url.lastPathComponent).part").path(
      percentEncoded: false)
  }

  /// - Throws: `SystemFailure`
  func write(_ text: String) throws {
    func failure(_ code: Int32 = errno) -> SystemFailure {
      SystemFailure("the metrics cannot be written to \(displayName(path))", code: code)
    }
    unlink(aside)
    let descriptor = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw failure() }
    var code: Int32 = 0
    do {
      try Array(text.utf8).withUnsafeBytes {
        try FileSystem.writeAll($0, to: descriptor, path: aside)
      }
    } catch {
      code = (error as? FileError)?.code ?? EIO
    }
    // The collector runs as somebody else, whatever this process keeps from others.
    if code == 0, fchmod(descriptor, 0o644) != 0 { code = errno }
    close(descriptor)
    if code == 0, rename(aside, path) != 0 { code = errno }
    guard code == 0 else {
      unlink(aside)
      throw failure(code)
    }
  }

  /// Numbers of a daemon that does not run are no news.
  func remove() {
    unlink(aside)
    unlink(path)
  }
}

import Foundation
import Glibc

/// A folder that goes away with the test.
final class TemporaryFolder {
  let url: URL
  var path: String { url.path(percentEncoded: false) }

  init() {
    let base = FileManager.default.temporaryDirectory.path(percentEncoded: false)
    var template = Array(
      (base + (base.hasSuffix("/") ? "" : "/") + "stemd-test-XXXXXX").utf8CString)
    precondition(mkdtemp(&template) != nil)
    url = URL(
      filePath: String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self),
      directoryHint: .isDirectory)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func path(_ name: String) -> String { (path.hasSuffix("/") ? path : path + "/") + name }

  /// Writes and closes, as a copying program does.
  func drop(_ name: String, _ content: String = "content") {
    guard let file = fopen(path(name), "w") else { preconditionFailure("cannot write \(name)") }
    fputs(content, file)
    fclose(file)
  }

  func startWriting(_ name: String, _ content: String = "content") -> UnsafeMutablePointer<FILE> {
    guard let file = fopen(path(name), "w") else { preconditionFailure("cannot write \(name)") }
    fputs(content, file)
    fflush(file)
    return file
  }

  func remove(_ name: String) { unlink(path(name)) }
  func rename(_ name: String, to other: String) { Glibc.rename(path(name), path(other)) }
  func exists(_ name: String) -> Bool { access(path(name), F_OK) == 0 }
  func content(_ name: String) -> String? {
    FileManager.default.contents(atPath: path(name)).map { String(decoding: $0, as: UTF8.self) }
  }
  func names(_ name: String = "") -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: path(name))) ?? []).sorted()
  }
  func inode(_ name: String) -> UInt64 {
    var status = stat()
    return lstat(path(name), &status) == 0 ? UInt64(status.st_ino) : 0
  }
}

import Foundation

/// A folder that exists for one test. Its path is short, so that sockets fit into it.
final class TemporaryFolder {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appending(
      path: "stemd-\(UInt32.random(in: 0 ... .max))", directoryHint: .isDirectory)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
  }

  deinit {
    try? FileManager.default.removeItem(at: url)
  }

  func path(_ name: String) -> String { url.appending(path: name).path(percentEncoded: false) }
  func endpoint(_ name: String = "a.sock") -> String { "ipc://" + path(name) }
}

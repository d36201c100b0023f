import Foundation
import Testing

@testable import JobQueue

@Suite struct ManualTests {
  /// The keys that a page describes, in its order.
  private func keys(ofPage name: String) throws -> [String] {
    let page = URL(filePath: #filePath).deletingLastPathComponent().appending(
      path: "../../Docs/man/\(name)"
    ).standardizedFileURL
    return try String(contentsOf: page, encoding: .utf8).split(separator: "\n").compactMap {
      $0.hasPrefix(".It Ic ") ? String($0.dropFirst(7)) : nil
    }
  }

  @Test func describesEveryKeyOfASidecar() throws {
    #expect(try keys(ofPage: "stemd-sidecar.5") == SidecarKey.names)
  }
}

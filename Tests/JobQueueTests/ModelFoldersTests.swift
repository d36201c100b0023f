import Foundation
import Testing

@testable import JobQueue

@Suite struct ModelFoldersTests {
  let root: TemporaryFolder

  init() throws { root = try TemporaryFolder() }

  private func make(_ folder: String) throws -> String {
    let path = root.url.appending(path: folder).path(percentEncoded: false)
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  @Test(
    .disabled(
      if: ProcessInfo.processInfo.environment["STEMD_MODELS"] != nil, "it goes before all of these")
  )
  func areFoundBelowThePrefixOfAnInstallation() throws {
    let program = try make("prefix/sbin")
    #expect(ModelFolders.defaultPath(near: program) == "/usr/share/stemd/models")
    let models = try make("prefix/share/stemd/models")
    #expect(ModelFolders.defaultPath(near: program) == models)
  }

  @Test(
    .disabled(
      if: ProcessInfo.processInfo.environment["STEMD_MODELS"] != nil, "it goes before all of these")
  )
  func areFoundInABuildTree() throws {
    let program = try make("source/.build/release")
    let models = try make("source/Models")
    #expect(ModelFolders.defaultPath(near: program) == models)
  }
}

import Foundation
import Testing

@testable import JobQueue

@Suite struct ModelFoldersTests {
  let root: TemporaryFolder

  init() { root = TemporaryFolder() }

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

  /// Of a folder that holds models of every kind, and a file beside it.
  private func models() throws -> ModelFolders {
    let folder = try make("models")
    _ = try make("models/folder")
    _ = try make("models/both")
    _ = try make("elsewhere/linked")
    for file in [
      "models/single.safetensors", "models/both.safetensors", "models/pickled.ckpt",
      "models/v1.5.safetensors", "models/notes.txt", "models/.hidden.safetensors",
      "secret.safetensors",
    ] { try Data().write(to: root.url.appending(path: file)) }
    for (link, target) in [
      ("linked", "../elsewhere/linked"), ("file-link.safetensors", "../secret.safetensors"),
    ] {
      try FileManager.default.createSymbolicLink(
        atPath: "\(folder)/\(link)", withDestinationPath: target)
    }
    return ModelFolders(path: folder, defaultName: "folder")
  }

  @Test(
    "a name is a folder's, or a file's without its ending; a link is the administrator's to make",
    arguments: [
      ("folder", "folder"), ("single", "single.safetensors"), ("both", "both"),
      ("single.safetensors", "single.safetensors"), ("pickled", "pickled.ckpt"),
      ("v1.5", "v1.5.safetensors"), ("linked", "linked"), ("file-link", "file-link.safetensors"),
      (nil, "folder"),
    ])
  func namesAreFound(name: String?, file: String) throws {
    let models = try models()
    #expect(try models.path(named: name) == models.path + "/" + file)
  }

  @Test("a name that is nearly one is told which was probably meant")
  func suggestions() throws {
    let models = try models()
    let error = #expect(throws: MissingModel.self) { try models.path(named: "fodler") }
    #expect("\(error!)".hasSuffix("(did you mean 'folder'?)"))
    _ = try make("models/loras")
    for name in ["style.safetensors", "notes.txt"] {
      try Data().write(to: root.url.appending(path: "models/loras/" + name))
    }
    #expect(models.loraNames == ["style"])
    let lora = #expect(throws: MissingModel.self) { try models.lora(named: "stile") }
    #expect("\(lora!)".hasSuffix("(did you mean 'style'?)"))
    try Data().write(to: root.url.appending(path: "models/loras/old.pt"))
    #expect(try models.lora(named: "old").hasSuffix("/loras/old.pt"))
    let none = #expect(throws: MissingModel.self) { try models.lora(named: "notes") }
    #expect("\(none!)".hasSuffix("name another"))
  }

  @Test(
    "nothing that is not among the models is found, whatever a name holds",
    arguments: [
      "..", "../secret", "../secret.safetensors", "folder/../../secret", "/etc", "/etc/passwd", "/",
      "", ".", ".hidden", "./single", "single/", "folder/", "~", "notes.txt", "notes", "missing",
      "single\u{0}", "sin\u{0}gle", "a\nb", "..\u{2f}secret", String(repeating: "x", count: 300),
    ])
  func strangersAreNot(name: String) throws {
    let models = try models()
    let error = #expect(throws: MissingModel.self) { try models.path(named: name) }
    #expect(error?.description.contains("\n") == false)
  }

  @Test("a LoRA is a file among the models' LoRAs, and no path finds another")
  func loras() throws {
    let models = try models()
    let folder = try make("models/loras")
    try Data().write(to: URL(fileURLWithPath: "\(folder)/style.safetensors"))
    #expect(
      try models.loras(named: ["style"]) == ["style": models.path + "/loras/style.safetensors"])
    for name in ["missing", "../single", "style.safetensors", "", "..", "/etc/passwd"] {
      #expect(throws: MissingModel.self, "\(name)") { try models.lora(named: name) }
    }
    #expect(!models.names.contains("loras"))
  }

  @Test("all that may be a model is listed once, by the name that finds it")
  func areListed() throws {
    let models = try models()
    #expect(
      models.names == ["both", "file-link", "folder", "linked", "pickled", "single", "v1.5"])
    for name in models.names { _ = try models.path(named: name) }
  }
}

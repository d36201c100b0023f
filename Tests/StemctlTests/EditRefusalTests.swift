import Foundation
import Testing

/// What `stemctl edit` finds out before it reads gigabytes of a model.
@Suite("Refusals of stemctl edit") struct EditRefusalTests {
  private let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(
      path: UUID().uuidString, directoryHint: .isDirectory)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try Data("a clip".utf8).write(to: folder.appending(path: "clip.mp4"))
    try FileManager.default.createSymbolicLink(
      at: folder.appending(path: "link.mp4"), withDestinationURL: folder.appending(path: "clip.mp4")
    )
  }

  private func edit(_ clip: String, to output: String, _ more: [String] = []) throws -> ProgramRun {
    try ProgramRun(
      "stemctl",
      ["edit", path(clip), "--output", path(output), "--model", "/nowhere"]
        + (more.isEmpty ? ["--prompt", "a ball"] : more))
  }

  private func path(_ name: String) -> String { folder.path(percentEncoded: false) + name }

  @Test("a clip is never replaced by its edit, nor the truth", arguments: ["clip.mp4", "link.mp4"])
  func sameFile(_ output: String) throws {
    try #require(FileManager.default.fileExists(atPath: path("clip.mp4")))
    try Data("another".utf8).write(to: folder.appending(path: "other.mp4"))
    let prompt = ["--prompt", "a ball"]
    for (clip, output, more) in [
      ("clip.mp4", output, prompt),
      ("other.mp4", output, prompt + ["--truth", path("clip.mp4"), "--metrics", path("m")]),
      ("clip.mp4", "new.mp4", prompt + ["--metrics", path(output)]),
      ("clip.mp4", "report/comparison.mp4", prompt + ["--report", path("report")]),
    ] {
      let run = try edit(clip, to: output, more)
      #expect(run.status != 0 && run.output.contains(" would replace "), "\(run.output)")
    }
    #expect(try Data(contentsOf: folder.appending(path: "clip.mp4")) == Data("a clip".utf8))
  }

  @Test("an edit is named as the mp4 that it is") func suffix() throws {
    for output in ["out.webm", "out.mov", "out"] {
      let run = try edit("clip.mp4", to: output)
      #expect(run.status != 0 && run.output.contains("let --output end with .mp4"))
    }
  }

  @Test("a clip that is not there is named with its folder") func missing() throws {
    let run = try edit("nope.mp4", to: "out.mp4")
    #expect(run.status != 0 && run.output.contains("The clip \(path("nope.mp4")) cannot be read"))
  }

  @Test("a misspelled option is told before one that is missing") func misspelled() throws {
    let run = try edit("clip.mp4", to: "out.mp4", ["--promt", "a ball"])
    #expect(run.output.contains("Unknown option '--promt'. Did you mean '--prompt'?"))
    let without = try edit("clip.mp4", to: "out.mp4", ["--steps", "2"])
    #expect(without.output.contains("Say what the edited video should show"))
  }

  @Test("a negative number is a bad value, not a missing one") func negative() throws {
    for (option, sentence) in [
      ("--start", "--start takes a number of seconds from 0"), ("--steps", "--steps takes a whole"),
      ("--seed", "'-1' is invalid"),
    ] {
      let run = try edit("clip.mp4", to: "out.mp4", ["--prompt", "a ball", option, "-1"])
      #expect(run.output.contains(sentence), "\(run.output)")
    }
  }
}

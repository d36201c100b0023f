import Foundation
import Testing

@Suite struct StemctlModelsTests {
  let root: TemporaryFolder
  private static let models = URL(filePath: #filePath).deletingLastPathComponent().appending(
    path: "../../Models"
  ).standardizedFileURL.path(percentEncoded: false)

  init() throws { root = try TemporaryFolder() }

  private func run(_ arguments: String...) throws -> Program.Outcome {
    try Program.run(
      "stemctl", ["models"] + arguments,
      environment: ["STEMD_MODELS": root.url.path(percentEncoded: false)])
  }

  private func fill() throws {
    try FileManager.default.createSymbolicLink(
      atPath: root.url.appending(path: "world").path(percentEncoded: false),
      withDestinationPath: Self.models + "/tiny-world")
    try Data("anything".utf8).write(to: root.url.appending(path: "old.ckpt"))
    let header = #"{"x.lora_up.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#
    let length = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) }
    try (length + Data(header.utf8) + Data(count: 4)).write(
      to: root.url.appending(path: "look.safetensors"))
  }

  @Test("the list names every model, and says why one cannot be used")
  func list() throws {
    try fill()
    let outcome = try run("list")
    #expect(outcome.status == 0, "\(outcome.errors)")
    let all = outcome.output.split(separator: "\n").map(String.init)
    #expect(all.count == 4 && all.first?.hasPrefix("MODEL ") == true)
    let lines = Array(all.dropFirst())
    #expect(lines[0].hasPrefix("look ") && lines[0].contains("a LoRA"))
    #expect(lines[1].hasPrefix("old ") && lines[1].contains("pickle"))
    #expect(lines[2].hasPrefix("world ") && lines[2].contains("epsilon"))
    #expect(lines[2].contains("25 MiB") && lines[2].hasSuffix("/world"))
    let json = try run("list", "--json")
    let entries = try #require(
      try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [[String: Any]])
    #expect(entries.map { $0["name"] as? String } == ["look", "old", "world"])
    #expect(entries[2]["error"] == nil && entries[1]["error"] is String)
    let missing = try run("list", "--models", "/nonexistent")
    #expect(missing.status == 1 && missing.errors.contains("/nonexistent"))
  }

  @Test("a path needs no ending, and LoRAs are those beside the model")
  func paths() throws {
    try fill()
    let loras = root.url.appending(path: "loras")
    try FileManager.default.createDirectory(at: loras, withIntermediateDirectories: false)
    try FileManager.default.copyItem(
      at: root.url.appending(path: "look.safetensors"),
      to: loras.appending(path: "style.safetensors"))
    let folder = root.url.path(percentEncoded: false)
    #expect(try run("list").output.hasSuffix("\nfor the key 'loras': style\n"))
    let look = try run("inspect", folder + "/look")
    #expect(look.status == 1 && look.output.contains("put it into the folder 'loras'"))
    let there = try run("inspect", folder + "/loras/style")
    #expect(there.status == 1 && there.output.contains("none itself: name it with the key 'loras'"))
    // The models' folder is another one.
    func edit(_ lora: String) throws -> String {
      try Program.run(
        "stemctl",
        [
          "edit", Self.models + "/tiny-world/clips/00-color.mp4", "--model", folder + "/world",
          "--prompt", "x", "--output", folder + "/x.mp4", "--set", "loras=[\(lora)]",
        ], environment: ["STEMD_MODELS": Self.models]
      ).errors
    }
    #expect(try edit("style").contains("style.safetensors is not a whole LoRA"))
    #expect(try edit("stile").contains("did you mean 'style'?"))
  }

  @Test("an inspection takes a name or a path, and ends with 1 where the model cannot be used")
  func inspect() throws {
    try fill()
    for model in ["world", Self.models + "/tiny-world"] {
      let outcome = try run("inspect", model)
      #expect(outcome.status == 0, "\(outcome.output) \(outcome.errors)")
      for text in ["UNet", "22 MiB, F16", "128x128 pixels", "in full precision"] {
        #expect(outcome.output.contains(text), "\(text) in \(outcome.output)")
      }
    }
    for (model, text) in [("old", "python3 -c"), ("look", "LoRA")] {
      let outcome = try run("inspect", model)
      #expect(outcome.status == 1 && outcome.output.contains("NOT OK"))
      #expect(outcome.output.contains(text))
    }
    let json = try run("inspect", "world", "--json")
    let summary = try #require(
      try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any])
    #expect(summary["size"] as? Int == 128 && (summary["parts"] as? [Any])?.count == 3)
    #expect((summary["errors"] as? [Any])?.isEmpty == true && summary["edit_memory"] is Int)
    let near = try run("verify", "worl", "golden")
    #expect(near.status == 1 && near.errors.contains("did you mean 'world'?"), "\(near.errors)")
    #expect(near.errors.components(separatedBy: "did you mean").count == 2)
    let missing = try run("inspect", "../nothing")
    #expect(missing.status == 1 && (missing.errors + missing.output).contains("nothing"))
    let folder = try run("inspect", "world", "--prediction-type", "epsilon")
    #expect(folder.status == 1 && folder.errors.contains("scheduler_config.json"))
    let typo = root.url.appending(path: "typo").path(percentEncoded: false)
    #expect(try run("inspect", typo, "--prediction-type", "epsilon").status != 0)
    #expect(!FileManager.default.fileExists(atPath: typo + ".yaml"))
  }

  @Test("models verify and verify are the same")
  func verify() throws {
    try fill()
    // Nothing to compare: 1, with every tensor skipped.
    let golden = root.url.appending(path: "look.safetensors").path(percentEncoded: false)
    let outcomes = try [
      run("verify", "world", golden),
      Program.run(
        "stemctl", ["verify", Self.models + "/tiny-world", golden]),
    ]
    #expect(outcomes[0].status == 1 && outcomes[0].output == outcomes[1].output)
    #expect(outcomes[0].output.contains("unet.output"))
  }
}

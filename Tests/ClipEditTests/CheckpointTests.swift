import EditSettings
import Foundation
import Testing
import VideoEditing

@testable import ClipEdit
@testable import Tensor

@Suite struct CheckpointTests {
  @Test(
    "an edit that is cut off again and again has the bits of one that is not",
    arguments: [
      (EditingMethod.tokenflow, InversionMethod.stem, nil), (.tokenflow, .ddim, 9),
      (.reconstruct, .stem, nil),
    ])
  func cutAgainAndAgain(method: EditingMethod, inversion: InversionMethod, inversionSteps: Int?)
    throws
  {
    let folder = try TemporaryFolder()
    var settings = EditRun.larger
    (settings.method, settings.inversion) = (method, inversion)
    settings.inversionSteps = inversionSteps
    var whole = EditRun(settings, checkpoint: folder.path("whole"))
    _ = try whole()
    #expect(whole.notes == [])

    let last = method == .tokenflow ? "edit" : "reconstruct"
    var before: String?
    for cut in [
      "encode-latents 7", "encode-latents 9", "invert 0", "invert 1", "invert 3", "\(last) 0",
      "\(last) 2", "\(last) 3", "decode-latents 7", "decode-latents 9", "encode 0", "measure 0",
    ] {
      var run = EditRun(settings, checkpoint: folder.path("cut"))
      #expect(throws: EditRun.Cut.self) { try run(cutAt: cut) }
      #expect(run.notes.count == (before == nil ? 0 : 1))
      if let before { #expect(run.notes[0].hasPrefix("continues at \(before)/")) }
      // A boundary without a step of its own leaves the checkpoint where it was.
      before = run.checkpoints.last ?? before
    }
    var resumed = EditRun(settings, checkpoint: folder.path("cut"))
    let figures = try resumed()
    #expect(resumed.notes == ["continues at decode-latents 9/9"])
    #expect(try parts(folder.path("cut")) == parts(folder.path("whole")))
    #expect(try names(in: folder.path("cut")) == names(in: folder.path("whole")))
    #expect(!figures.inversionReused)
    #expect(figures.seconds["invert"] ?? 0 > 0)
    // Nothing was computed any more, only recalled.
    #expect(resumed.checkpoints == [])
  }

  @Test("kept states stay in their files until they are taken, and then are memory of their own")
  func staysInFiles() throws {
    let folder = try TemporaryFolder()
    var run = EditRun(checkpoint: folder.path("c"), cache: folder.path("cache"))
    #expect(throws: EditRun.Cut.self) { try run(cutAt: "edit 1") }
    let checkpoint = try CheckpointFolder(folder.path("c"))
    let kept = try checkpoint.states(of: #require(try checkpoint.manifest()))
    let name = try #require(try names(in: folder.path("cache/inversions")).first)
    let cached = try #require(
      try InversionCache(folder: folder.path("cache"), limit: .max).find(
        String(name.prefix(32)), steps: 3, damaged: {})
    ).states
    // Each level of the trajectory has its latents, and what its features said.
    for (states, numbers) in [(kept, 9), (cached, 8)] {
      #expect(states.tensors.count == numbers)
      #expect(states.tensors.values.allSatisfy { $0.storage.isReadOnly })
      var taken = states
      for step in 0..<3 {
        let tensor = try #require(taken.take(.trajectory, step)?["state"])
        let file = try #require(states.series["trajectory"]?[step]?["state"])
        #expect(!tensor.storage.isReadOnly && tensor.values == file.values)
        #expect(taken.take(.trajectory, step) == nil)
      }
    }
  }

  @Test("checkpoints stand at the ends of steps, and never closer than the interval")
  func interval() throws {
    let folder = try TemporaryFolder()
    var run = EditRun(checkpoint: folder.path("often"))
    _ = try run()
    #expect(
      run.checkpoints == [
        "encode-latents 3", "invert 1", "invert 2", "invert 3", "edit 1", "edit 2", "edit 3",
        "decode-latents 3",
      ])
    #expect(try parts(folder.path("often"), of: "edit").count == 1)
    run = EditRun(checkpoint: folder.path("seldom"))
    run.keeping.interval = 1e6
    _ = try run()
    #expect(run.checkpoints == [])
    #expect(try names(in: folder.path("seldom")) == [])
    // Nothing is written in between either; what came since is written together.
    run.keeping.interval = 0
    run.keeping.checkpointFolder = nil
    _ = try run()
    #expect(run.checkpoints == [])
  }

  @Test("a checkpoint that is wanted comes at the end of the step, however long the interval")
  func wanted() throws {
    let folder = try TemporaryFolder()
    var run = EditRun(checkpoint: folder.path("c"))
    run.keeping.interval = 1e6
    var asked = 0
    #expect(throws: EditRun.Cut.self) {
      // The first two steps are of the latents and the inversion.
      try run(
        cutAt: "invert 2",
        wantsCheckpoint: {
          asked += 1
          return asked == 3
        })
    }
    #expect(run.checkpoints == ["invert 2"])
    _ = try run()
    #expect(run.notes == ["continues at invert 2/3"])
  }

  @Test("seconds add up over the attempts")
  func secondsAddUp() throws {
    let folder = try TemporaryFolder()
    var run = EditRun(checkpoint: folder.path("c"))
    #expect(throws: EditRun.Cut.self) { try run(cutAt: "edit 1") }
    let path = folder.path("c/manifest.json")
    try replace(#""invert" : [0-9.]+"#, by: #""invert" : 1000"#, in: path)
    let figures = try run()
    #expect(try #require(figures.seconds["invert"]) >= 1000)
    #expect(try #require(figures.seconds["edit"]) < 1000)
  }

  @Test("a job goes on with the threads with which it began, and then they are as they were")
  func otherThreads() throws {
    let folder = try TemporaryFolder()
    let threads = Parallel.threads
    defer { Parallel.threads = threads }
    Parallel.threads = 1
    var run = EditRun(checkpoint: folder.path("whole"))
    _ = try run()
    run = EditRun(checkpoint: folder.path("cut"))
    #expect(throws: EditRun.Cut.self) { try run(cutAt: "invert 2") }
    Parallel.threads = 3
    var used: Set<Int> = []
    _ = try run { _ in used.insert(Parallel.threads) }
    #expect(used.contains(1) && Parallel.threads == 3)
    #expect(run.notes.contains { $0.contains("with 1 threads") })
    #expect(try parts(folder.path("cut")) == parts(folder.path("whole")))
  }

  @Test("another kind of processor goes on, and says that bits may differ")
  func otherProcessor() throws {
    let folder = try TemporaryFolder()
    var run = EditRun(checkpoint: folder.path("c"), cache: folder.path("cache"))
    #expect(throws: EditRun.Cut.self) { try run(cutAt: "invert 2") }
    try replace("kernels [0-9]+", by: "kernels 0", in: folder.path("c/manifest.json"))
    _ = try run()
    #expect(run.notes.count == 2 && run.notes[0] == "continues at invert 2/3")
    #expect(run.notes.last?.contains("last bits") == true)
    // It says so again, and nobody else gets what two kinds have computed.
    _ = try run()
    #expect(run.notes.last?.contains("last bits") == true)
    #expect(try names(in: folder.path("cache/inversions")) == [])
  }

  enum Damage: String, CaseIterable {
    case flippedBit, shortPart, noPart, linkedPart, foreignTensor
    case emptyManifest, otherFormat, noJSON, pathInName, manyThreads, hugePart, endlessSeconds
    case linkedManifest
  }

  @Test("a damaged checkpoint is noticed, and the job starts anew", arguments: Damage.allCases)
  func damaged(_ damage: Damage) throws {
    let folder = try TemporaryFolder()
    let path = folder.path("c")
    var run = EditRun(checkpoint: path)
    #expect(throws: EditRun.Cut.self) { try run(cutAt: "edit 1") }
    let names = try parts(path)
    try inflict(damage, on: path, part: try #require(names.first { $0.hasPrefix("trajectory") }))
    _ = try run()
    #expect(
      run.notes.count == 1
        && run.notes[0].hasPrefix("starts anew, for the checkpoint cannot be used: "))
    var whole = EditRun(checkpoint: folder.path("whole"))
    _ = try whole()
    #expect(try parts(path) == parts(folder.path("whole")))
    #expect(try ClipEditTests.names(in: path) == ClipEditTests.names(in: folder.path("whole")))
  }

  private func inflict(_ damage: Damage, on path: String, part: String) throws {
    let part = path + "/" + part
    let manifest = path + "/manifest.json"
    switch damage {
    case .flippedBit:
      var bytes = try Data(contentsOf: URL(fileURLWithPath: part))
      bytes[bytes.count - 1] ^= 1
      try bytes.write(to: URL(fileURLWithPath: part))
    case .shortPart: #expect(truncate(part, 100) == 0)
    case .noPart: #expect(unlink(part) == 0)
    case .linkedPart:
      #expect(rename(part, path + "/elsewhere") == 0)
      #expect(symlink(path + "/elsewhere", part) == 0)
      // No file of ours, and so not ours to remove.
      #expect(unlink(path + "/elsewhere") == 0)
    case .foreignTensor:
      let tensors = ["trajectory/minus one/state": Tensor([1], shape: [1])]
      let name = (part as NSString).lastPathComponent
      let content = try SafetensorsFile.write(tensors, into: path) { _ in name }.content
      let old = try #require(
        try CheckpointFolder(path).manifest()?.parts.first { $0.name == name })
      try replace(old.sha256, by: content.sha256, in: manifest)
      try replace("\"bytes\" : \(old.bytes)", by: "\"bytes\" : \(content.bytes)", in: manifest)
    case .emptyManifest: #expect(truncate(manifest, 0) == 0)
    case .otherFormat: try replace(#""format" : 1"#, by: #""format" : 2"#, in: manifest)
    case .noJSON: try Data("{".utf8).write(to: URL(fileURLWithPath: manifest))
    case .pathInName: try replace("\"trajectory-", by: "\"../c/trajectory-", in: manifest)
    case .manyThreads:
      try replace(#""threads" : [0-9]+"#, by: #""threads" : 1000000"#, in: manifest)
    case .hugePart:
      try replace(#""bytes" : [0-9]+"#, by: #""bytes" : 9223372036854775807"#, in: manifest)
    case .endlessSeconds:
      try replace(#""invert" : [0-9.]+"#, by: #""invert" : 1e308"#, in: manifest)
    case .linkedManifest:
      #expect(unlink(manifest) == 0)
      #expect(symlink("/etc/hostname", manifest) == 0)
    }
  }

  private func replace(_ pattern: String, by text: String, in path: String) throws {
    let old = try String(contentsOfFile: path, encoding: .utf8)
    let new = old.replacingOccurrences(of: pattern, with: text, options: .regularExpression)
    #expect(new != old)
    try Data(new.utf8).write(to: URL(fileURLWithPath: path))
  }

  @Test("another edit's checkpoint is not gone on from, and what differs is named")
  func otherSettings() throws {
    let folder = try TemporaryFolder()
    var run = EditRun(checkpoint: folder.path("c"))
    #expect(throws: EditRun.Cut.self) { try run(cutAt: "edit 1") }
    run.settings.prompt = "a cube"
    run.settings.guidance = 5
    #expect(throws: EditRun.Cut.self) { try run(cutAt: "invert 1") }
    #expect(run.notes.count == 1 && run.notes[0].contains("guidance, prompt"))
    #expect(try parts(folder.path("c"), of: "edit") == [])
    // Where the result goes and what is measured is none of its business.
    _ = try run()
    #expect(run.notes == ["continues at invert 1/3"])
  }

  @Test("what was cut off while it was written is cleared away, and strangers' files are not")
  func leftovers() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("c")
    var run = EditRun(checkpoint: path)
    #expect(throws: EditRun.Cut.self) { try run(cutAt: "invert 1") }
    let before = try names(in: path)
    for name in [".writing-1.part", "edit-0001-0001-0123.safetensors", "holiday.jpg"] {
      try Data("x".utf8).write(to: URL(fileURLWithPath: path + "/" + name))
    }
    #expect(throws: EditRun.Cut.self) { try run(cutAt: "encode-latents 0") }
    #expect(try names(in: path) == (before + ["holiday.jpg"]).sorted())
  }

  @Test("a checkpoint that cannot be written is told once, and the edit goes on")
  func cannotBeWritten() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("c")
    var run = EditRun(checkpoint: path)
    _ = try run { if $0 == "invert 1" { try FileManager.default.removeItem(atPath: path) } }
    #expect(run.notes.count == 1 && run.notes[0].contains(path))
    #expect(run.checkpoints.last == "invert 1")

    try Data("no folder".utf8).write(to: URL(fileURLWithPath: path))
    _ = try run()
    #expect(run.notes.count == 1 && run.notes[0].hasPrefix("goes on without checkpoints: "))
    unlink(path)
    #expect(symlink("/tmp", path) == 0)
    _ = try run()
    #expect(run.notes.count == 1 && run.notes[0].hasPrefix("goes on without checkpoints: "))
  }

  @Test("an edit that is killed again and again has the bits of one that is not")
  func killed() throws {
    let folder = try TemporaryFolder()
    let settings = EditRun.larger
    var whole = EditRun(settings, checkpoint: folder.path("whole"))
    _ = try whole()
    let path = folder.path("killed")
    func command() throws -> Process {
      let process = Process()
      process.executableURL = program("stemctl")
      process.arguments = [
        "edit", TinyWorld.clip, "--model", TinyWorld.folder.path, "--output",
        folder.path("edited.mp4"), "--checkpoint", "killed", "--checkpoint-interval", "0",
        "--prompt", settings.prompt, "--source-prompt", settings.sourcePrompt, "--steps", "3",
        "--frames", "9", "--size", "192x176", "--bases", "16", "--precision", "full",
      ]
      process.environment = ["OMP_WAIT_POLICY": "passive"]
      // Where a person works, a plain name is a path.
      process.currentDirectoryURL = folder.url
      process.standardError = FileHandle.nullDevice
      process.standardOutput = FileHandle.nullDevice
      try process.run()
      return process
    }
    func hasReached(_ stage: EditProgress.Stage) -> Bool {
      let stages = EditProgress.Stage.allCases
      guard let now = (try? CheckpointFolder(path).manifest())?.progress.stage else { return false }
      return stages.firstIndex(of: now) ?? 0 >= stages.firstIndex(of: stage) ?? 0
    }
    for stage in [EditProgress.Stage.encodeLatents, .invert, .edit] {
      let process = try command()
      while process.isRunning, !hasReached(stage) { usleep(1000) }
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
      #expect(process.terminationReason == .uncaughtSignal)
    }
    let process = try command()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    #expect(try parts(path) == parts(folder.path("whole")))
    #expect(FileManager.default.fileExists(atPath: folder.path("edited.mp4")))
  }
}

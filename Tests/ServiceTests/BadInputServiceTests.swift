import Foundation
import JobQueue
import Testing

@Suite(.serialized) struct BadInputServiceTests {
  private static let sidecar = Service.sidecar()

  @Test(
    "bad input fails its own job with a sentence, keeps the input, and the daemon goes on",
    arguments: [
      ("garbage", "mp4", String(repeating: "not a video ", count: 100), sidecar, "not a video"),
      ("empty", "mp4", "", sidecar, "empty"),
      (
        "playlist", "mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n",
        sidecar, "not a video"
      ),
      ("concat", "mov", "ffconcat version 1.0\nfile /etc/passwd\n", sidecar, "not a video"),
      (
        "gigantic", "mp4", "YUV4MPEG2 W12000 H12000 F25:1 Ip C444\nFRAME\n", sidecar,
        "12000x12000"
      ),
      ("typo", "mp4", "", "promt: a ball\n", "promt"),
      ("value", "mp4", "", "prompt: a ball\nsteps: many\n", "steps"),
      ("nothing", "mp4", "", "", "prompt"),
      ("model", "mp4", "", "prompt: a ball\nmodel: no-such-model\n", "no-such-model"),
      ("big", "mp4", "", "prompt: a ball\nsteps: 1000\n", "steps"),
    ])
  func failsAlone(name: String, type: String, clip: String, sidecar: String, says: String) throws {
    let service = try Service()
    // Where the sidecar is at fault the clip is a good one.
    let bytes = sidecar == Self.sidecar ? Data(clip.utf8) : try Service.clip.get()
    service.drop("\(name).\(type)", bytes)
    service.drop("\(name).yaml", sidecar)
    let job = try service.finished(name)
    #expect(job.state == .failed && job.error?.contains(says) == true, "\(job.error ?? "no error")")
    let result = try service.result(name)
    #expect(result["error"] as? String == job.error && result["state"] as? String == "failed")
    #expect(try Data(contentsOf: URL(filePath: service.outbox("\(name)/source.\(type)"))) == bytes)
    #expect(
      try String(contentsOfFile: service.outbox("\(name)/job.log"), encoding: .utf8).contains(says))
    #expect(!FileManager.default.fileExists(atPath: service.outbox("\(name)/edited.mp4")))
    // The next one is edited as if nothing had been.
    service.drop("good.mp4", try Service.clip.get())
    service.drop("good.yaml", Self.sidecar)
    #expect(try service.finished("good").state == .done)
  }

  @Test("what is no file stays where it is and is reported; the daemon goes on")
  func noFiles() throws {
    let service = try Service()
    mkdir(service.inbox("folder.mp4"), 0o755)
    mkfifo(service.inbox("pipe.mp4"), 0o644)
    symlink("/etc/passwd", service.inbox("link.mp4"))
    for name in ["folder", "pipe", "link"] { service.drop("\(name).yaml", Self.sidecar) }
    service.drop("good.mp4", try Service.clip.get())
    service.drop("good.yaml", Self.sidecar)
    #expect(try service.finished("good").state == .done)
    try service.eventually("all three are reported") {
      ["folder.mp4", "pipe.mp4", "link.mp4"].allSatisfy(service.log.contains)
    }
    #expect(
      service.names(service.folders.inbox) == [
        "folder.mp4", "folder.yaml", "link.mp4", "link.yaml", "pipe.mp4", "pipe.yaml",
      ])
    #expect(try service.jobs().count == 1)
  }

  @Test("lone files and files under temporary names wait; a rename completes them")
  func waitingFiles() throws {
    let service = try Service()
    service.drop("alone.mp4", try Service.clip.get())
    service.drop("lonely.yaml", Self.sidecar)
    service.drop("upload.mp4.part", try Service.clip.get())
    service.drop("upload.yaml", Self.sidecar)
    service.drop("good.mp4", try Service.clip.get())
    service.drop("good.yaml", Self.sidecar)
    #expect(try service.finished("good").state == .done)
    #expect(
      service.names(service.folders.inbox) == [
        "alone.mp4", "lonely.yaml", "upload.mp4.part", "upload.yaml",
      ])
    rename(service.inbox("upload.mp4.part"), service.inbox("upload.mp4"))
    #expect(try service.finished("upload").state == .done)
  }

  @Test(
    "a name may hold anything a file's name can",
    arguments: [
      "two words", "a:b", "f%03d", "it's \"quoted\"", "line\nbreak", "日本語 é 😀", "-rf",
      "back\\slash", "$(HOME);*?", String(repeating: "x", count: 250),
    ])
  func strangeNames(name: String) throws {
    let service = try Service()
    service.drop("\(name).mp4", try Service.clip.get())
    service.drop("\(name).txt", "a ball => a cube")
    let id = try { () -> JobID in
      var job: Job?
      try service.eventually("it is accepted") {
        job = try service.job(named: name)
        return job != nil
      }
      return try #require(job).id
    }()
    // A text sidecar asks for a whole edit; taking it is what this is about.
    let cancel = Process()
    cancel.executableURL = Service.program("stemctl")
    cancel.arguments = [
      "cancel", id.rawValue, "--root", service.folders.root.path(percentEncoded: false),
    ]
    cancel.standardOutput = FileHandle.nullDevice
    cancel.standardError = FileHandle.nullDevice
    try cancel.run()
    cancel.waitUntilExit()
    #expect(cancel.terminationStatus == 0)
    let job = try service.finished(name)
    #expect(job.state == .cancelled)
    let folder = try #require(job.outboxName)
    // A very long name is cut, to leave room for a number.
    #expect(name.hasPrefix(folder) && folder.utf8.count >= min(name.utf8.count, 240))
    #expect(
      try Data(contentsOf: URL(filePath: service.outbox("\(folder)/source.mp4")))
        == Service.clip.get())
    #expect(
      service.log.split(separator: "\n").allSatisfy {
        $0.contains(" stemd: ") || $0.contains(" stem-worker: ")
      })
  }
}

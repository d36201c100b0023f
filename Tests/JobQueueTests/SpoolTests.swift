import EditSettings
import Foundation
import GRDB
import Glibc
import Testing

@testable import JobQueue

/// A spool in a temporary folder, which can be opened again as after a crash.
final class TestSpool {
  let folder = TemporaryFolder()
  private(set) var spool: Spool

  init() throws { spool = try Spool(root: folder.url) }

  /// Opens the spool anew, and reconciles it.
  @discardableResult func restart() throws -> [SpoolRepair] {
    let url = folder.url
    // The lock goes with the last reference.
    withExtendedLifetime(spool) {}
    let placeholder = TemporaryFolder()
    spool = try Spool(root: placeholder.url)
    spool = try Spool(root: url)
    return try spool.reconcile()
  }

  /// Drops a clip with its sidecars and claims them.
  func claim(_ clip: String = "c.mp4", _ sidecars: [String: String] = ["c.txt": "a cat"]) throws
    -> [Job]
  {
    drop(clip, sidecars)
    let outcome = try spool.claim([ReadyClip(clip: clip, sidecars: sidecars.keys.sorted())])
    #expect(outcome.map(\.problem) == [nil])
    return outcome[0].jobs
  }

  func drop(_ clip: String = "c.mp4", _ sidecars: [String: String] = ["c.txt": "a cat"]) {
    folder.drop("inbox/" + clip, "the clip")
    for (name, content) in sidecars { folder.drop("inbox/" + name, content) }
  }

  /// Lets a job run to its end, as a worker would.
  func finish(_ id: JobID, as state: JobState = .done, error: String? = nil) throws -> Job {
    _ = try spool.store.start(id, worker: "worker-1")
    try spool.prepareAttempt(of: id)
    folder.drop("work/\(id)/result/edited.mp4", "edited")
    folder.drop("work/\(id)/result/.edited.mp4.part", "half")
    return try spool.store.finish(
      id, as: state, error: error, figures: state == .done ? ["frames": 16] : nil)
  }

  func report(_ name: String) throws -> [String: JSONValue] {
    try JSONDecoder().decode(
      [String: JSONValue].self,
      from: Data((folder.content("outbox/\(name)/result.json") ?? "").utf8))
  }
}

@Suite("Claim") struct ClaimTests {
  let test: TestSpool
  var folder: TemporaryFolder { test.folder }

  init() throws { test = try TestSpool() }

  @Test("a root has all its folders made, and belongs to one daemon")
  func folders() throws {
    #expect(folder.names() == ["cache", "inbox", "outbox", "run", "state", "work"])
    let error = #expect(throws: SpoolError.self) { try Spool(root: folder.url) }
    #expect(
      "\(error!)"
        == "another stemd (process \(getpid())) serves this spool: stop it, or choose another --root"
    )
  }

  @Test("a claim moves clip and sidecar into the job's work folder, with their bytes")
  func claim() throws {
    let inode = { self.folder.inode($0) }
    test.drop("c.mp4", ["c.yaml": "prompt: a cat\n"])
    let clip = inode("inbox/c.mp4")
    let job = try #require(
      try test.spool.claim([ReadyClip(clip: "c.mp4", sidecars: ["c.yaml"])])[0].jobs.first)
    #expect(
      (job.state, job.name, job.sourceName, job.settings?.prompt) == (
        .queued, "c", "c.mp4", "a cat"
      ))
    #expect(folder.names("inbox").isEmpty)
    #expect(folder.names("work/\(job.id)") == ["result", "sidecar.yaml", "source.mp4"])
    #expect(inode("work/\(job.id)/source.mp4") == clip)
    #expect(folder.content("work/\(job.id)/sidecar.yaml") == "prompt: a cat\n")
    #expect(
      folder.content("work/\(job.id)/result/job.log")?.contains(
        "info accepted c.mp4 with c.yaml as job \(job.id)\n") == true)
    #expect(try test.spool.store.job(job.id) == job)
    #expect(test.spool.folders.sourcePath(of: job) == folder.path("work/\(job.id)/source.mp4"))
  }

  @Test("each sidecar becomes a job with the same clip, without a copy")
  func furtherEdits() throws {
    let jobs = try test.claim(
      "c.mp4", ["c.txt": "a cat", "c.2.txt": "a dog", "c.3.yaml": "promt: x"])
    #expect(jobs.map(\.name).sorted() == ["c", "c.2", "c.3"])
    #expect(Set(jobs.map { folder.inode("work/\($0.id)/source.mp4") }).count == 1)
    #expect(Set(jobs.map(\.state)) == [.queued, .failed])
    #expect(folder.names("inbox").isEmpty)
  }

  @Test("a sidecar with an error fails its job with the sentence, and is delivered with the input")
  func badSidecar() throws {
    let job = try #require(try test.claim("c.mp4", ["c.yaml": "prompt: x\nsteps: none"]).first)
    #expect(job.state == .failed)
    #expect(job.error == "c.yaml: 'steps' takes a whole number from 1 to 1000, not 'none'")
    let delivered = try test.spool.deliver(job.id)
    #expect(delivered.outboxName == "c")
    #expect(
      folder.names("outbox/c") == [
        "job.log", "report.html", "result.json", "sidecar.yaml", "source.mp4",
      ])
    #expect(try test.report("c")["error"] == .text(job.error ?? ""))
    #expect(folder.content("outbox/c/source.mp4") == "the clip")
  }

  @Test("a clip taken away before the claim leaves the sidecar where it was")
  func clipVanished() throws {
    test.drop()
    folder.remove("inbox/c.mp4")
    let outcome = try test.spool.claim([ReadyClip(clip: "c.mp4", sidecars: ["c.txt"])])[0]
    #expect(outcome.jobs.isEmpty && outcome.problem?.contains("was taken away") == true)
    #expect(folder.names("inbox") == ["c.txt"])
    #expect(folder.names("work").isEmpty)
    #expect(try test.spool.store.records(inState: JobRecord.claiming).isEmpty)
  }

  @Test("one clip's trouble does not keep the others waiting")
  func batch() throws {
    test.drop("a.mp4", ["a.txt": "a"])
    test.drop("b.mp4", ["b.txt": "b"])
    let outcomes = try test.spool.claim(
      ["a", "gone", "b"].map { ReadyClip(clip: "\($0).mp4", sidecars: ["\($0).txt"]) })
    #expect(outcomes.map(\.jobs.count) == [1, 0, 1])
    #expect(outcomes.map { $0.problem != nil } == [false, true, false])
    #expect(try test.spool.store.jobs(in: [.queued]).map(\.name) == ["a", "b"])
  }

  @Test(
    "a file that is opened for writing again at the last moment goes back",
    arguments: ["c.mp4", "c.txt"])
  func writtenAgain(name: String) throws {
    test.drop()
    let file = open(folder.path("inbox/\(name)"), O_WRONLY)
    let outcome = try test.spool.claim([ReadyClip(clip: "c.mp4", sidecars: ["c.txt"])])[0]
    close(file)
    #expect(outcome.jobs.isEmpty && outcome.problem?.contains("written to again") == true)
    #expect(folder.names("inbox") == ["c.mp4", "c.txt"])
    #expect(folder.names("work").isEmpty)
  }

  @Test(
    "a file that changed while it was copied to another mount is not removed",
    arguments: ["same", "replaced", "open"])
  func changedWhileCopied(how: String) throws {
    folder.drop("c.mp4")
    let path = folder.path("c.mp4")
    let copied = try FileSystem.status(path)
    if how == "replaced" {
      folder.drop("new.mp4", "another clip")
      folder.rename("new.mp4", to: "c.mp4")
    }
    let file = how == "open" ? open(path, O_WRONLY) : -1
    defer { close(file) }
    if how == "same" {
      try FileSystem.removeOriginal(path, asItWas: copied)
    } else {
      #expect(throws: FileError.self) { try FileSystem.removeOriginal(path, asItWas: copied) }
    }
    #expect(folder.exists("c.mp4") == (how != "same"))
  }

  @Test("a claim without its sidecar does not touch the clip")
  func sidecarVanished() throws {
    test.drop()
    let watch = try FolderWatch(path: folder.path("inbox"))
    let file = open(folder.path("inbox/c.txt"), O_WRONLY)
    defer { close(file) }
    _ = try test.spool.claim([ReadyClip(clip: "c.mp4", sidecars: ["c.txt"])])
    guard case .events(let events) = try watch.read() else { return #expect(Bool(false)) }
    #expect(Set(events.map { String(decoding: $0.name, as: UTF8.self) }) == ["c.txt"])
  }

  @Test(
    "a sidecar that comes after its clip was taken joins it, wherever the clip is by then",
    arguments: [false, true])
  func joinEarlier(delivered: Bool) throws {
    let first = try #require(try test.claim().first)
    let clip = folder.inode("work/\(first.id)/source.mp4")
    if delivered {
      _ = try test.finish(first.id)
      _ = try test.spool.deliver(first.id)
      #expect(!folder.exists("work/\(first.id)"))
    }
    folder.drop("inbox/c.2.txt", "a dog")
    // The clip that it is meant for may still be on its way.
    if delivered { #expect(try test.spool.joinEarlierClip(sidecar: "c.2.txt") == nil) }
    let second = try #require(
      try test.spool.joinEarlierClip(sidecar: "c.2.txt", hasWaited: delivered))
    #expect(
      (second.name, second.sourceName, second.settings?.prompt, second.state) == (
        "c.2", "c.mp4", "a dog", .queued
      ))
    #expect(folder.inode("work/\(second.id)/source.mp4") == clip)
    #expect(folder.names("inbox").isEmpty)
  }

  @Test(
    "an unnumbered sidecar joins a clip that had none, and waits for a new clip where it had one of any type"
  )
  func unnumberedSidecarLater() throws {
    folder.drop("inbox/d.mp4")
    folder.drop("inbox/d.2.txt", "a dog")
    _ = try test.spool.claim([ReadyClip(clip: "d.mp4", sidecars: ["d.2.txt"])])
    folder.drop("inbox/d.yaml", "prompt: a cow")
    #expect(try test.spool.joinEarlierClip(sidecar: "d.yaml")?.name == "d")
    folder.drop("inbox/d.txt", "for tomorrow's clip")
    #expect(try test.spool.joinEarlierClip(sidecar: "d.txt") == nil)
    #expect(folder.names("inbox") == ["d.txt"])
  }

  @Test("a sidecar of a name that the clip had waits for a new clip")
  func sameSidecarAgain() throws {
    _ = try test.claim()
    folder.drop("inbox/c.txt", "a dog")
    #expect(try test.spool.joinEarlierClip(sidecar: "c.txt") == nil)
    folder.drop("inbox/other.txt", "a dog")
    #expect(try test.spool.joinEarlierClip(sidecar: "other.txt") == nil)
    #expect(folder.names("inbox") == ["c.txt", "other.txt"])
  }

  @Test(
    "a sidecar does not join a clip that somebody took out of the outbox or replaced",
    arguments: ["gone", "replaced", "link"])
  func clipGone(what: String) throws {
    let first = try #require(try test.claim().first)
    _ = try test.finish(first.id)
    _ = try test.spool.deliver(first.id)
    folder.remove("outbox/c/source.mp4")
    if what == "replaced" {
      folder.drop("outbox/c/source.mp4", "another")
      folder.remove("outbox/c/result.json")
    }
    if what == "link" { symlink("/etc/passwd", folder.path("outbox/c/source.mp4")) }
    folder.drop("inbox/c.2.txt", "a dog")
    #expect(try test.spool.joinEarlierClip(sidecar: "c.2.txt", hasWaited: true) == nil)
    #expect(folder.names("inbox") == ["c.2.txt"])
  }

  @Test("a client's staged clip is claimed under the name that the user knows")
  func submit() throws {
    folder.drop("inbox/.upload-1", "the clip")
    let job = try test.spool.submit(
      staged: ".upload-1", name: "my: clip.mov", settings: EditSettings(prompt: "a cat"))
    #expect((job.state, job.name, job.sourceName) == (.queued, "my: clip", "my: clip.mov"))
    #expect(folder.names("inbox").isEmpty)
    #expect(folder.names("work/\(job.id)") == ["result", "source.mov"])
    _ = try test.finish(job.id)
    _ = try test.spool.deliver(job.id)
    #expect(
      folder.names("outbox/my: clip") == [
        "edited.mp4", "job.log", "report.html", "result.json", "source.mov",
      ])
  }

  @Test("a submission that the disk fails halfway is completed later, and says so")
  func submissionCutOff() throws {
    folder.drop("inbox/.upload-1", "the clip")
    let database = try DatabaseQueue(path: folder.path("state/jobs.sqlite"))
    try database.write {
      try $0.execute(
        sql: "CREATE TRIGGER full BEFORE UPDATE ON job BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    }
    #expect(!test.spool.hasUnfinishedClaims)
    let error = #expect(throws: Refusal.self) {
      try test.spool.submit(
        staged: ".upload-1", name: "c.mov", settings: EditSettings(prompt: "a cat"))
    }
    #expect("\(error!)".contains("do not submit it again"))
    #expect(test.spool.hasUnfinishedClaims)
    #expect(throws: DatabaseError.self) { try test.spool.resumeClaims() }
    #expect(test.spool.hasUnfinishedClaims)
    try database.write { try $0.execute(sql: "DROP TRIGGER full") }
    let job = try #require(try test.spool.resumeClaims().jobs.first)
    #expect((job.state, job.sourceName) == (.queued, "c.mov"))
    #expect(!test.spool.hasUnfinishedClaims)
    #expect(folder.content("work/\(job.id)/source.mov") == "the clip")
  }

  @Test(
    "a submission that makes no sense is refused, and nothing is touched",
    arguments: [
      ("../state/lock", "c.mp4", "x"), ("visible.mp4", "c.mp4", "x"), (".missing", "c.mp4", "x"),
      (".staged", "a/b.mp4", "x"),
      (".staged", "..", "x"), (".staged", ".c.mp4", "x"), (".staged", "", "x"),
      (".staged", "c.mp4", " "), (".folder", "c.mp4", "x"),
      ("", "c.mp4", "x"), (".", "c.mp4", "x"), (".link", "c.mp4", "x"),
    ])
  func refusedSubmission(stagedName: String, name: String, prompt: String) throws {
    folder.drop("inbox/.staged")
    folder.drop("inbox/visible.mp4")
    mkdir(folder.path("inbox/.folder"), 0o770)
    symlink("/etc/passwd", folder.path("inbox/.link"))
    let before = folder.names("inbox")
    #expect(throws: (any Error).self) {
      try test.spool.submit(
        staged: stagedName, name: name, settings: EditSettings(prompt: prompt))
    }
    #expect(folder.names("inbox") == before)
    #expect(folder.names("work").isEmpty)
    #expect(try test.spool.store.jobs().isEmpty)
  }

  @Test("settings out of their limits are refused over the socket as in a sidecar")
  func submittedSettings() throws {
    folder.drop("inbox/.staged")
    var settings = EditSettings(prompt: "x")
    settings.steps = 0
    #expect(throws: Refusal(.settings, "'steps' takes a whole number from 1 to 1000, not 0")) {
      try test.spool.submit(staged: ".staged", name: "c.mp4", settings: settings)
    }
    settings.steps = 1
    settings.guidance = .nan
    #expect(throws: Refusal.self) {
      try test.spool.submit(staged: ".staged", name: "c.mp4", settings: settings)
    }
  }

  @Test(
    "any name goes the whole way",
    arguments: [
      "two words", "a:b", "100%25%s", "it's \"quoted\"", "line\nbreak", "日本語 ü", "no extension",
      "-rf *",
    ])
  func anyName(name: String) throws {
    let clip = name == "no extension" ? name : name + ".mp4"
    let job = try #require(try test.claim(clip, [name + ".txt": "a cat"]).first)
    _ = try test.finish(job.id)
    #expect(try test.spool.deliver(job.id).outboxName == name)
    #expect(folder.content("outbox/\(name)/source" + (clip == name ? "" : ".mp4")) == "the clip")
    let log = try #require(folder.content("outbox/\(name)/job.log"))
    #expect(
      log.split(separator: "\n").allSatisfy { $0.first == "2" },
      "each line starts with its year: \(log)")
  }

  @Test("an extension too long for its new name is left off")
  func longExtension() throws {
    let clip = "c." + String(repeating: "x", count: 250)
    let job = try #require(try test.claim(clip).first)
    #expect(folder.names("work/\(job.id)") == ["result", "sidecar.txt", "source"])
  }
}

@Suite("Outbox") struct OutboxTests {
  let test: TestSpool
  var folder: TemporaryFolder { test.folder }

  init() throws { test = try TestSpool() }

  @Test("a result is delivered with input, sidecar, log and report, and the work folder is gone")
  func done() throws {
    let job = try #require(
      try test.claim("c.mp4", ["c.yaml": "prompt: a cat\nsize: 64x128\nsource_prompt: a dog"]).first
    )
    _ = try test.finish(job.id)
    let delivered = try test.spool.deliver(job.id)
    #expect((delivered.outboxName, delivered.state) == ("c", .done))
    #expect(
      folder.names("outbox/c") == [
        "edited.mp4", "job.log", "report.html", "result.json", "sidecar.yaml", "source.mp4",
      ])
    #expect(folder.names("work").isEmpty)
    let report = try test.report("c")
    #expect(report["id"] == .text(job.id.rawValue))
    #expect(report["state"] == .text("done"))
    #expect(report["source"] == .text("c.mp4"))
    #expect(report["attempts"] == .whole(1))
    #expect(report["figures"] == .object(["frames": .whole(16)]))
    #expect(report["error"] == nil)
    guard case .object(let settings)? = report["settings"] else {
      return #expect(Bool(false), "no settings")
    }
    #expect(settings["source_prompt"] == .text("a dog"))
    #expect(settings["size"] == .text("64x128"))
    #expect(settings["frames"] == nil)
    for key in ["submitted", "started", "finished"] {
      guard case .text(let time)? = report[key] else { return #expect(Bool(false), "no \(key)") }
      #expect(
        try Date.ISO8601FormatStyle(includingFractionalSeconds: true).parse(time)
          .timeIntervalSinceNow < 1)
    }
  }

  @Test(
    "a failed or cancelled job is delivered without what it made",
    arguments: [JobState.failed, .cancelled])
  func failed(state: JobState) throws {
    let job = try #require(try test.claim().first)
    _ = try test.finish(job.id, as: state, error: state == .failed ? "it is no video" : nil)
    _ = try test.spool.deliver(job.id)
    #expect(
      folder.names("outbox/c") == [
        "job.log", "report.html", "result.json", "sidecar.txt", "source.mp4",
      ])
    #expect(try test.report("c")["state"] == .text(state.rawValue))
    #expect(try test.report("c")["error"] == (state == .failed ? .text("it is no video") : nil))
  }

  @Test(
    "a result folder that somebody removed does not take the input with it",
    arguments: [false, true])
  func resultFolderRemoved(again: Bool) throws {
    let job = try #require(try test.claim().first)
    try FileSystem.removeAll(folder.path("work/\(job.id)/result"))
    _ = try test.spool.store.finish(job.id, as: .cancelled)
    #expect(try test.spool.deliver(job.id, again: again).outboxName == "c")
    #expect(
      folder.names("outbox/c") == [
        "job.log", "report.html", "result.json", "sidecar.txt", "source.mp4",
      ])
    #expect(folder.content("outbox/c/source.mp4") == "the clip")
  }

  @Test("a name that is taken gets a number")
  func takenNames() throws {
    mkdir(folder.path("outbox/c"), 0o770)
    folder.drop("outbox/c-2")
    for expected in ["c-3", "c-4"] {
      let job = try #require(try test.claim().first)
      _ = try test.finish(job.id)
      #expect(try test.spool.deliver(job.id).outboxName == expected)
    }
    #expect(folder.names("outbox") == ["c", "c-2", "c-3", "c-4"])
  }

  @Test("a name too long to be numbered is trimmed between characters")
  func longName() throws {
    let name = String(repeating: "é", count: 125)
    for suffix in ["", "-2"] {
      let job = try #require(try test.claim(name + ".mp4", [name + ".txt": "a cat"]).first)
      _ = try test.finish(job.id)
      #expect(
        try test.spool.deliver(job.id).outboxName == String(repeating: "é", count: 124) + suffix)
    }
  }

  @Test("an outbox that cannot be written to keeps the job for later")
  func retried() throws {
    let job = try #require(try test.claim().first)
    _ = try test.finish(job.id)
    folder.rename("outbox", to: "elsewhere")
    folder.drop("outbox", "no folder")
    #expect(throws: FileError.self) { try test.spool.deliver(job.id) }
    #expect(try test.spool.store.undelivered().map(\.id) == [job.id])
    folder.remove("outbox")
    folder.rename("elsewhere", to: "outbox")
    #expect(try test.spool.deliver(job.id, again: true).outboxName == "c")
    #expect(
      folder.names("outbox/c") == [
        "edited.mp4", "job.log", "report.html", "result.json", "sidecar.txt", "source.mp4",
      ])
  }

  @Test("an outbox on another mount gets a synced copy, whole or not at all")
  func otherMount() throws {
    try #require(access("/dev/shm", W_OK) == 0)
    let other = "/dev/shm/stemd-test-\(getpid())"
    mkdir(other, 0o770)
    defer { try? FileSystem.removeAll(other) }
    folder.remove("outbox")
    rmdir(folder.path("outbox"))
    symlink(other, folder.path("outbox"))
    let job = try #require(try test.claim().first)
    _ = try test.finish(job.id)
    #expect(try test.spool.deliver(job.id).outboxName == "c")
    #expect(try FileSystem.names(in: other).map { String(decoding: $0, as: UTF8.self) } == ["c"])
    #expect(
      folder.names("outbox/c") == [
        "edited.mp4", "job.log", "report.html", "result.json", "sidecar.txt", "source.mp4",
      ])
    #expect(folder.names("work").isEmpty)
  }

  @Test(
    "a link in the place of a job's folder does not have another folder emptied",
    arguments: ["", "/result"])
  func linkedFolder(place: String) throws {
    let job = try #require(try test.claim().first)
    let other = TemporaryFolder()
    mkdir(other.path("result"), 0o770)
    other.drop("mine")
    other.drop("result/mine")
    try FileSystem.removeAll(folder.path("work/\(job.id)\(place)"))
    symlink(other.path, folder.path("work/\(job.id)\(place)"))
    #expect(throws: FileError.self) { try test.spool.prepareAttempt(of: job.id) }
    #expect(other.exists("mine") && other.exists("result/mine"))
  }

  @Test("another attempt begins without the files of the one before, but with its log")
  func nextAttempt() throws {
    let job = try #require(try test.claim().first)
    folder.drop("work/\(job.id)/result/edited.mp4")
    mkdir(folder.path("work/\(job.id)/result/frames"), 0o770)
    try test.spool.prepareAttempt(of: job.id)
    #expect(folder.names("work/\(job.id)/result") == ["job.log"])
  }
}

extension Spool {
  /// One submission of a staged clip.
  /// - Throws: `Refusal`
  func submit(
    staged: String, name: String, settings: EditSettings, now: Date = Date()
  ) throws -> Job {
    try submit(
      one: Submission(name: name, settings: settings, client: "user:ada", clip: .staged(staged)),
      now: now
    ).job
  }

  func submit(one submission: Submission, now: Date = Date()) throws -> (job: Job, known: Bool) {
    switch submit([submission], now: now)[0] {
    case .accepted(let job, let known): return (job, known)
    case .refused(let refusal): throw refusal
    }
  }
}

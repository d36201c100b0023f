import EditSettings
import Foundation
import Glibc
import Testing

@testable import JobQueue

@Suite("Reconciliation") struct ReconciliationTests {
  let test: TestSpool
  var folder: TemporaryFolder { test.folder }

  init() throws { test = try TestSpool() }

  /// Records a claim of `c.mp4` with its sidecars, as far as the rows; returns their ids.
  func beginClaim(_ sidecars: [String]) throws -> [JobID] {
    test.drop("c.mp4", Dictionary(uniqueKeysWithValues: sidecars.map { ($0, "a cat") }))
    // The claim of a clip whose rows are written and whose files are all still in the inbox.
    let clip = try #require(try FileSystem.status(folder.path("inbox/c.mp4")))
    var ids: [JobID] = []
    let records = try sidecars.map { name in
      let sidecar = try #require(try FileSystem.status(folder.path("inbox/\(name)")))
      ids.append(test.spool.idGenerator.next())
      return JobRecord(
        id: ids[ids.count - 1].rawValue, clip: ids[0].rawValue, clipStem: "c",
        name: DroppedName(name).stem, sourceName: "c.mp4",
        inboxName: "c.mp4", sidecarName: name, state: JobRecord.claiming,
        client: "user:ada", submitted: Date().toMilliseconds,
        clipIdentity: clip.identity, sidecarIdentity: sidecar.identity)
    }
    try test.spool.store.insert(records)
    return ids
  }

  @Test("a job that runs whenever the daemon dies is tried again, however often that is")
  func daemonDeaths() throws {
    let job = try test.claim()[0]
    for _ in 1...30 {
      _ = try test.spool.store.start(job.id, worker: "w")
      try test.restart()
    }
    #expect(try test.spool.store.job(job.id)?.state == .queued)
    #expect(try test.spool.store.interruptions(of: job.id) == 0)
  }

  @Test("a claim cut off after any of its steps is completed", arguments: 0...7)
  func claimCutOff(after steps: Int) throws {
    let ids = try beginClaim(["c.txt", "c.2.txt"])
    let actions: [() -> Void] = [
      { mkdir(folder.path("work/\(ids[0])"), 0o770) },
      { mkdir(folder.path("work/\(ids[0])/result"), 0o770) },
      {
        mkdir(folder.path("work/\(ids[1])"), 0o770)
        mkdir(folder.path("work/\(ids[1])/result"), 0o770)
      },
      { folder.rename("inbox/c.mp4", to: "work/\(ids[0])/source.mp4") },
      { link(folder.path("work/\(ids[0])/source.mp4"), folder.path("work/\(ids[1])/source.mp4")) },
      { folder.rename("inbox/c.txt", to: "work/\(ids[0])/sidecar.txt") },
      { folder.rename("inbox/c.2.txt", to: "work/\(ids[1])/sidecar.txt") },
    ]
    for action in actions.prefix(steps) { action() }
    let repairs = try test.restart()
    #expect(repairs.map(\.job) == ids.map { $0 })
    #expect(try test.spool.store.jobs(in: [.queued]).map(\.id) == ids)
    #expect(folder.names("inbox").isEmpty)
    for id in ids {
      #expect(folder.names("work/\(id)") == ["result", "sidecar.txt", "source.mp4"])
    }
    #expect(try test.restart().isEmpty)
  }

  @Test(
    "a claim whose clip was taken away meanwhile is undone, and its sidecar lies in the inbox",
    arguments: [true, false])
  func claimUndone(sidecarMoved: Bool) throws {
    let ids = try beginClaim(["c.txt"])
    folder.remove("inbox/c.mp4")
    if sidecarMoved {
      mkdir(folder.path("work/\(ids[0])"), 0o770)
      folder.rename("inbox/c.txt", to: "work/\(ids[0])/sidecar.txt")
    }
    _ = try test.restart()
    #expect(folder.names("inbox") == ["c.txt"])
    #expect(folder.names("work").isEmpty)
    #expect(try test.spool.store.jobs().isEmpty)
  }

  @Test("another file that took the clip's name meanwhile is not taken for it")
  func replacedMeanwhile() throws {
    _ = try beginClaim(["c.txt"])
    // The file system may well give the new file the inode of the old one.
    folder.remove("inbox/c.mp4")
    folder.drop("inbox/c.mp4", "another clip")
    _ = try test.restart()
    #expect(folder.names("inbox") == ["c.mp4", "c.txt"])
    #expect(try test.spool.store.jobs().isEmpty)
  }

  @Test("what goes back to the inbox never replaces what is there")
  func putBackUnderAnotherName() throws {
    let ids = try beginClaim(["c.txt"])
    mkdir(folder.path("work/\(ids[0])"), 0o770)
    folder.rename("inbox/c.txt", to: "work/\(ids[0])/sidecar.txt")
    folder.drop("inbox/c.txt", "another prompt")
    folder.remove("inbox/c.mp4")
    _ = try test.restart()
    #expect(folder.names("inbox") == ["c.txt", "recovered-\(ids[0]).txt"])
    #expect(folder.content("inbox/c.txt") == "another prompt")
    #expect(folder.content("inbox/recovered-\(ids[0]).txt") == "a cat")
  }

  @Test(
    "a sidecar taken away meanwhile drops its job alone, whichever of the clip's jobs it is",
    arguments: ["c.txt", "c.2.txt"])
  func sidecarVanished(name: String) throws {
    _ = try beginClaim(["c.txt", "c.2.txt"])
    folder.remove("inbox/\(name)")
    _ = try test.restart()
    let jobs = try test.spool.store.jobs()
    #expect(jobs.map(\.name) == [name == "c.txt" ? "c.2" : "c"])
    #expect(folder.names("work") == jobs.map(\.id.rawValue))
    #expect(folder.content("work/\(jobs[0].id)/source.mp4") == "the clip")
  }

  @Test("a running job is queued again, and its attempt does not count as failed")
  func running() throws {
    let job = try #require(try test.claim().first)
    _ = try test.spool.store.start(job.id, worker: "worker-1")
    #expect(try test.restart().map(\.job) == [job.id])
    let again = try #require(try test.spool.store.nextQueued(by: JobTurns()))
    #expect((again.id, again.attempts, again.worker) == (job.id, 1, nil))
    #expect(try test.spool.store.failures(of: job.id) == 0)
  }

  @Test("a running job that was to be cancelled is cancelled, and delivered")
  func runningCancelled() throws {
    let job = try #require(try test.claim().first)
    _ = try test.spool.store.start(job.id, worker: "worker-1")
    _ = try test.spool.store.requestCancel(job.id)
    _ = try test.restart()
    #expect(try test.spool.store.job(job.id)?.state == .cancelled)
    #expect(
      folder.names("outbox/c") == [
        "job.log", "report.html", "result.json", "sidecar.txt", "source.mp4",
      ])
  }

  @Test("a delivery cut off after any of its steps is completed, once", arguments: 0...7)
  func deliveryCutOff(after steps: Int) throws {
    let id = try #require(try test.claim().first).id
    _ = try test.finish(id)
    let report = try ResultReport(record: #require(try test.spool.store.record(id))).data
    let actions: [() throws -> Void] = [
      { folder.remove("work/\(id)/result/.edited.mp4.part") },
      { folder.rename("work/\(id)/source.mp4", to: "work/\(id)/result/source.mp4") },
      { folder.rename("work/\(id)/sidecar.txt", to: "work/\(id)/result/sidecar.txt") },
      { folder.drop("work/\(id)/result/result.json.part", "{") },
      { try FileSystem.writeAside(report, to: folder.path("work/\(id)/result/result.json")) },
      { folder.drop("work/\(id)/result/report.html", "a page") },
      { folder.rename("work/\(id)/result", to: "outbox/c") },
    ]
    for action in actions.prefix(steps) { try action() }
    let repairs = try test.restart()
    #expect(repairs.map(\.job) == [id])
    #expect(try test.spool.store.job(id)?.outboxName == "c")
    #expect(folder.names("outbox") == ["c"])
    #expect(
      folder.names("outbox/c") == [
        "edited.mp4", "job.log", "report.html", "result.json", "sidecar.txt", "source.mp4",
      ])
    #expect(folder.names("work").isEmpty)
    #expect(try test.restart().isEmpty)
  }

  @Test("a delivery that was cut off under a numbered name is found there")
  func deliveredUnderNumber() throws {
    folder.drop("outbox/c")
    let id = try #require(try test.claim().first).id
    _ = try test.finish(id)
    try FileSystem.writeAside(
      ResultReport(record: #require(try test.spool.store.record(id))).data,
      to: folder.path("work/\(id)/result/result.json"))
    folder.rename("work/\(id)/source.mp4", to: "work/\(id)/result/source.mp4")
    folder.rename("work/\(id)/result", to: "outbox/c-2")
    _ = try test.restart()
    #expect(try test.spool.store.job(id)?.outboxName == "c-2")
    #expect(folder.names("outbox") == ["c", "c-2"])
  }

  @Test("a work folder that the store does not know goes back to the inbox")
  func unknownWork() throws {
    let job = try #require(try test.claim().first)
    for name in ["jobs.sqlite", "jobs.sqlite-wal", "jobs.sqlite-shm"] {
      folder.remove("state/\(name)")
    }
    mkdir(folder.path("work/empty"), 0o770)
    let repairs = try test.restart()
    #expect(repairs.count == 2)
    #expect(folder.names("inbox") == ["recovered-\(job.id).mp4", "recovered-\(job.id).txt"])
    #expect(folder.names("work").isEmpty)
  }

  @Test("a queued job whose work folder was cleared fails with a sentence, and the daemon starts")
  func workCleared() throws {
    let job = try #require(try test.claim().first)
    try FileSystem.removeAll(folder.path("work/\(job.id)"))
    _ = try test.restart()
    #expect(try test.spool.store.job(job.id)?.state == .failed)
    #expect(
      try test.report("c")["error"]
        == .text("its clip is no longer in the work folder: submit it again"))
  }

  @Test("a queued job whose renames the disk forgot is claimed again")
  func renamesLost() throws {
    let job = try #require(try test.claim().first)
    folder.rename("work/\(job.id)/source.mp4", to: "inbox/c.mp4")
    folder.rename("work/\(job.id)/sidecar.txt", to: "inbox/c.txt")
    _ = try test.restart()
    #expect(try test.spool.store.jobs(in: [.queued]).map(\.id) == [job.id])
    #expect(folder.names("inbox").isEmpty)
    #expect(folder.content("work/\(job.id)/source.mp4") == "the clip")
  }

  @Test("a copy into an outbox on another mount that was cut off leaves nothing")
  func asideRemoved() throws {
    mkdir(folder.path("outbox/.stemd-0abc.part"), 0o770)
    folder.drop("outbox/.stemd-0abc.part/edited.mp4")
    mkdir(folder.path("outbox/.mine"), 0o770)
    _ = try test.restart()
    #expect(folder.names("outbox") == [".mine"])
  }
}

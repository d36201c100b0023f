import EditSettings
import Foundation
import GRDB
import Testing

@testable import JobQueue

@Suite("JobStore") struct JobStoreTests {
  let folder = TemporaryFolder()

  func store() throws -> JobStore { try JobStore(path: folder.path("jobs.sqlite")) }

  func record(_ id: String, state: String = "queued") -> JobRecord {
    JobRecord(
      id: id, clip: id, clipStem: "c", name: "c", sourceName: "c.mp4", inboxName: "c.mp4",
      sidecarName: "c.txt", state: state,
      settings: EditSettings(prompt: "x", size: FrameSize(width: 64, height: 128), seed: .max),
      submitted: Date(timeIntervalSince1970: 1_700_000_000.125), clipIdentity: "1:2:3:4.5")
  }

  @Test("every commit is on the disk: WAL with synchronous FULL, really in force")
  func durable() throws {
    let store = try store()
    #expect(try store.synchronous == 2)
    #expect(try store.journalMode == "wal")
    try store.insert([record("a")])
    #expect(try store.synchronous == 2)
  }

  @Test("a job outlives its store, as it was")
  func reopened() throws {
    try store().insert([record("a")])
    let job = try #require(try store().job(JobID(rawValue: "a")))
    #expect(job == record("a").job)
    #expect(job.settings?.seed == .max)
    #expect(job.submitted == Date(timeIntervalSince1970: 1_700_000_000.125))
  }

  @Test("a job goes from queued over running to done, and its attempts are counted")
  func transitions() throws {
    let store = try store()
    let id = JobID(rawValue: "a")
    try store.insert([record("a")])
    var job = try store.start(
      id, worker: "worker-1", now: Date(timeIntervalSince1970: 1_700_000_001))
    #expect((job.state, job.worker, job.attempts) == (.running, "worker-1", 1))
    let again = try store.requeue(id, failed: true)
    #expect((again.job.state, again.job.worker, again.failures) == (.queued, nil, 1))
    job = try store.start(id, worker: "worker-2")
    #expect(job.started == Date(timeIntervalSince1970: 1_700_000_001))
    #expect(try store.requeue(id, failed: false).failures == 1)
    _ = try store.start(id, worker: "worker-2")
    job = try store.finish(id, as: .done, figures: ["frames": 3])
    #expect((job.state, job.worker, job.attempts) == (.done, nil, 3))
    #expect(try store.job(id) == job)
    #expect(try store.undelivered() == [job])
    #expect(try store.setDelivered(id, outboxName: "c-2").outboxName == "c-2")
    #expect(try store.undelivered().isEmpty)
  }

  @Test("a change that does not start from the job's state is refused and changes nothing")
  func wrongTransitions() throws {
    let store = try store()
    let id = JobID(rawValue: "a")
    try store.insert([record("a")])
    #expect(throws: JobStoreError.self) { try store.requeue(id, failed: true) }
    #expect(throws: JobStoreError.self) { try store.setDelivered(id, outboxName: "c") }
    _ = try store.finish(id, as: .cancelled)
    for attempt in [
      { _ = try store.start(id, worker: "w") }, { _ = try store.finish(id, as: .done) },
      { _ = try store.requeue(id, failed: true) },
    ] {
      #expect(throws: JobStoreError.self) { try attempt() }
    }
    #expect(try store.job(id)?.state == .cancelled)
    #expect(
      "\(#expect(throws: JobStoreError.self) { try store.start(JobID(rawValue: "z"), worker: "w") }!)"
        == "there is no job z")
  }

  @Test("jobs come first in, first out, and what is being claimed is shown to nobody")
  func order() throws {
    let store = try store()
    try store.insert([
      record("c"), record("a"), record("d", state: JobRecord.claiming), record("b"),
    ])
    _ = try store.start(JobID(rawValue: "a"), worker: "w")
    #expect(try store.jobs().map(\.id.rawValue) == ["a", "b", "c"])
    #expect(try store.jobs(limit: 2).map(\.id.rawValue) == ["b", "c"])
    #expect(try store.jobs(in: [.running]).map(\.id.rawValue) == ["a"])
    #expect(try store.nextQueued(limit: 1).map(\.id.rawValue) == ["b"])
    #expect(
      try store.nextQueued(limit: 5, excluding: [JobID(rawValue: "b")]).map(\.id.rawValue) == ["c"])
    #expect(
      try store.countsByState() == [.queued: 2, .running: 1, .done: 0, .failed: 0, .cancelled: 0])
    #expect(try store.job(JobID(rawValue: "d")) == nil)
  }

  @Test("a file that is no store, or a newer version's, is refused with a sentence")
  func foreignFiles() throws {
    folder.drop("jobs.sqlite", String(repeating: "not a database ", count: 100))
    let error = #expect(throws: JobStoreError.self) { try store() }
    #expect("\(error!)".hasPrefix("cannot open the job store"))
    folder.remove("jobs.sqlite")
    _ = try store()
    try DatabaseQueue(path: folder.path("jobs.sqlite")).write {
      try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('of the future')")
    }
    #expect("\(#expect(throws: JobStoreError.self) { try store() }!)".contains("newer stemd"))
  }
}

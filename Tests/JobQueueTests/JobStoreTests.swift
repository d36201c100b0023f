import EditSettings
import Foundation
import GRDB
import Testing

@testable import JobQueue

@Suite("JobStore") struct JobStoreTests {
  let folder = TemporaryFolder()

  func store() throws -> JobStore { try JobStore(path: folder.path("jobs.sqlite")) }

  func record(
    _ id: String, state: String = "queued", client: String = "user:ada", priority: Int = 0
  ) -> JobRecord {
    var record = JobRecord(
      id: id, clip: id, clipStem: "c", name: "c", sourceName: "c.mp4", inboxName: "c.mp4",
      sidecarName: "c.txt", state: state, client: client, priority: priority,
      submitted: Date(timeIntervalSince1970: 1_700_000_000.125), clipIdentity: "1:2:3:4.5")
    record.editSettings = EditSettings(
      prompt: "x", size: .exactly(FrameSize(width: 64, height: 128)), seed: .max)
    return record
  }

  func next(_ store: JobStore, excluding: [String] = []) throws -> String? {
    try store.nextQueued(
      by: JobTurns(), excluding: Set(excluding.map(JobID.init(rawValue:))))?.id.rawValue
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
    #expect(try next(store) == "b")
    #expect(try next(store, excluding: ["b"]) == "c")
    #expect(try next(store, excluding: ["b", "c"]) == nil)
    #expect(
      try store.countsByState() == [.queued: 2, .running: 1, .done: 0, .failed: 0, .cancelled: 0])
    #expect(try store.job(JobID(rawValue: "d")) == nil)
  }

  @Test(
    "the greatest priority is first; clients take turns; a client's jobs are first in, first out")
  func turns() throws {
    let store = try store()
    try store.insert([
      record("1", client: "a"), record("2", client: "a"), record("3", client: "a"),
      record("4", client: "b"), record("5", client: "b"), record("6", client: "c", priority: -1),
      record("7", client: "b", priority: 5),
    ])
    var turns = JobTurns()
    var order: [String] = []
    while let job = try store.nextQueued(by: turns) {
      order.append(job.id.rawValue)
      _ = try store.start(job.id, worker: "w")
      turns.began(client: job.client)
      turns.ended(client: job.client)
    }
    // After 7, b has had its turn, so a is next; then they alternate.
    #expect(order == ["7", "1", "4", "2", "5", "3", "6"])
  }

  @Test("a client with many running jobs waits for one with fewer, whoever came first")
  func fairness() throws {
    let store = try store()
    try store.insert((1...4).map { record("a\($0)", client: "a") } + [record("b1", client: "b")])
    var turns = JobTurns()
    for _ in 1...2 { turns.began(client: "a") }
    #expect(try store.nextQueued(by: turns)?.id.rawValue == "b1")
    turns.began(client: "b")
    turns.began(client: "b")
    turns.began(client: "b")
    #expect(try store.nextQueued(by: turns)?.id.rawValue == "a1")
  }

  @Test("a list holds what its filters ask for, a page at a time")
  func filters() throws {
    let store = try store()
    try store.insert(
      (0..<5).map { record("j\($0)", client: $0 % 2 == 0 ? "a" : "b") } + [
        record("j9", state: "done", client: "a")
      ])
    func list(_ filter: JobFilter) throws -> String {
      let (jobs, more) = try store.jobs(matching: filter)
      return jobs.map(\.id.rawValue).joined(separator: " ") + (more ? " …" : "")
    }
    #expect(try list(JobFilter()) == "j0 j1 j2 j3 j4 j9")
    #expect(try list(JobFilter(limit: 2)) == "j4 j9 …")
    #expect(try list(JobFilter(before: JobID(rawValue: "j4"), limit: 4)) == "j0 j1 j2 j3")
    #expect(
      try list(JobFilter(after: JobID(rawValue: "j1"), order: .oldest, limit: 2)) == "j2 j3 …")
    #expect(try list(JobFilter(states: [.queued], client: "a")) == "j0 j2 j4")
    #expect(try list(JobFilter(states: [.failed])) == "")
    #expect(try list(JobFilter(name: "c")) == "j0 j1 j2 j3 j4 j9")
    #expect(try list(JobFilter(name: "%")) == "")
  }

  @Test("a pause outlives the store")
  func mode() throws {
    #expect(try store().mode == .running)
    try store().set(mode: .paused)
    #expect(try store().mode == .paused)
    try store().set(mode: .running)
    #expect(try store().mode == .running)
  }

  @Test("failures count only until an attempt gets further")
  func failures() throws {
    let store = try store()
    let id = JobID(rawValue: "a")
    try store.insert([record("a")])
    for (forgives, failures) in [(false, 1), (false, 2), (true, 1), (false, 2)] {
      _ = try store.start(id, worker: "w")
      #expect(
        try store.requeue(id, failed: true, ran: 1.5, forgivesFailures: forgives).failures
          == failures)
    }
    #expect(try store.ranSeconds(of: id) == 6)
  }

  @Test("statistics add up what is done, by stage")
  func statistics() throws {
    let store = try store()
    try store.insert([record("a"), record("b"), record("c", client: "key:studio")])
    for id in ["a", "b"] {
      _ = try store.start(JobID(rawValue: id), worker: "w")
      var figures = EditFigures(frames: 1, size: FrameSize(width: 8, height: 8), frameRate: 8)
      figures.seconds = ["edit": 1.5, "invert": 2]
      _ = try store.finish(JobID(rawValue: id), as: .done, figures: figures)
    }
    let statistics = try store.statistics(now: Date(timeIntervalSince1970: 1_700_000_010.125))
    #expect(statistics.seconds == ["edit": 3, "invert": 4])
    #expect(statistics.clients == ["key:studio": .init(queued: 1, running: 0)])
    #expect(statistics.oldestQueuedSeconds == 10 && statistics.attempts == 2)
    #expect(statistics.jobs["done"] == 2)
    // A clock that was set back.
    #expect(try store.statistics(now: .distantPast).oldestQueuedSeconds == 0)
  }

  @Test("a store of the first version is carried over, its jobs with their settings")
  func migration() throws {
    let settings = EditSettings(prompt: "x", sourcePrompt: "y", seed: .max)
    do {
      let database = try DatabaseQueue(path: folder.path("jobs.sqlite"))
      var migrator = DatabaseMigrator()
      migrator.registerMigration("jobs", migrate: JobStoreMigrations.createJobs)
      try migrator.migrate(database)
      try database.write {
        try $0.execute(
          sql: """
            INSERT INTO job (id, clip, clipStem, name, sourceName, inboxName, state, settings,
              attempts, failures, cancelRequested, submitted, clipIdentity)
            VALUES ('a', 'a', 'c', 'c', 'c.mp4', 'c.mp4', 'queued', ?, 0, 0, 0, ?, '1')
            """,
          arguments: [String(decoding: try JSONEncoder().encode(settings), as: UTF8.self), Date()])
      }
    }
    let job = try #require(try store().job(JobID(rawValue: "a")))
    #expect(job.settings == settings && job.priority == 0 && job.client == "")
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

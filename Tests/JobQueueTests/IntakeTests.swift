import CLinux
import EditSettings
import Foundation
import GRDB
import Glibc
import Synchronization
import Testing

@testable import JobQueue

@Suite("Intake") struct IntakeTests {
  let test: TestSpool
  var folder: TemporaryFolder { test.folder }

  init() throws { test = try TestSpool() }

  func submission(
    _ content: String = "the clip", key: String? = nil, client: String = "user:ada",
    name: String = "c.mp4"
  ) -> Submission {
    Submission(
      name: name, settings: EditSettings(prompt: "a cat"), client: client, key: key,
      clip: .bytes(Data(content.utf8)))
  }

  func refusal(_ submission: Submission) -> Refusal? {
    #expect(throws: Refusal.self) { try test.spool.submit(one: submission) }
  }

  func upload(_ content: String, named name: String = "u1") throws -> ClipUpload {
    let upload = try test.spool.beginUpload(named: name, size: content.utf8.count)
    try upload.append(Data(content.utf8), at: 0)
    return upload
  }

  @Test("many requests become jobs together, in their order, each with its clip and a log")
  func group() throws {
    let outcomes = test.spool.submit((0..<20).map { submission("clip \($0)", name: "c\($0).mp4") })
    let jobs = outcomes.compactMap { if case .accepted(let job, false) = $0 { job } else { nil } }
    #expect(jobs.map(\.name) == (0..<20).map { "c\($0)" })
    #expect(jobs.map(\.id.rawValue) == jobs.map(\.id.rawValue).sorted())
    for (index, job) in jobs.enumerated() {
      #expect(folder.names("work/\(job.id)") == ["result", "source.mp4"])
      #expect(folder.content("work/\(job.id)/source.mp4") == "clip \(index)")
      #expect(
        folder.content("work/\(job.id)/result/job.log")?.contains("c\(index).mp4 of user:ada")
          == true)
    }
    #expect(try test.spool.store.jobs().map(\.id) == jobs.map(\.id))
  }

  @Test("the same key makes one job for one client, at once, later and after a restart")
  func keys() throws {
    let outcomes = test.spool.submit([
      submission(key: "k"), submission("another", key: "k"), submission(key: "k", client: "user:b"),
    ])
    guard case .accepted(let first, false) = outcomes[0],
      case .accepted(let repeated, true) = outcomes[1],
      case .accepted(let other, false) = outcomes[2]
    else {
      Issue.record("\(outcomes)")
      return
    }
    #expect(first == repeated && other.id != first.id && first.key == "k")
    try test.restart()
    let again = try test.spool.submit(one: submission(key: "k"))
    #expect(again.known && again.job.id == first.id)
    _ = try test.finish(first.id)
    _ = try test.spool.deliver(first.id)
    let later = try test.spool.submit(one: submission(key: "k"))
    #expect(later.known && later.job.state == .done)
    #expect(try test.spool.store.jobs().count == 2)
  }

  @Test("an upload comes part by part, in order, and becomes a job's clip")
  func uploading() throws {
    let upload = try test.spool.beginUpload(named: "u1", size: 8)
    try upload.append(Data("the ".utf8), at: 0)
    let gap = #expect(throws: Refusal.self) { try upload.append(Data("p".utf8), at: 7) }
    #expect(gap?.code == .offset && gap?.received == 4)
    #expect(throws: Refusal.self) { try upload.append(Data("clips".utf8), at: 4) }
    #expect(!upload.isComplete)
    try upload.append(Data("clip".utf8), at: 4)
    #expect(upload.isComplete)
    try upload.sync()
    var request = submission()
    request.clip = .upload(upload)
    let job = try test.spool.submit(one: request).job
    #expect(folder.content("work/\(job.id)/source.mp4") == "the clip")
    #expect(folder.names("work") == [job.id.rawValue])
  }

  @Test("an upload that nobody goes on with leaves nothing, nor does one that a crash cut off")
  func abandonedUpload() throws {
    var upload: ClipUpload? = try upload("half")
    #expect(folder.names("work") == [".upload-u1"])
    #expect(upload != nil)
    upload = nil
    #expect(folder.names("work").isEmpty)
    folder.drop("work/.upload-u2", "half")
    let repairs = try test.restart()
    #expect(repairs.map(\.message) == ["an upload that was cut off is removed"])
    #expect(folder.names("work").isEmpty && folder.names("inbox").isEmpty)
  }

  @Test(
    "what exceeds a limit is refused with the limit's name, and nothing is left of it",
    arguments: ["job_bytes", "queue_length", "spool_reserve"])
  func limits(name: String) throws {
    switch name {
    case "job_bytes": test.spool.limits.jobBytes = 7
    case "queue_length": test.spool.limits.queueLength = 0
    default: test.spool.limits.spoolReserve = .max / 2
    }
    let refused = refusal(submission())
    #expect(refused?.code == .limit && refused?.limit == name)
    #expect(refused?.description.contains("'\(name)'") == true)
    #expect(throws: Refusal.self) { try test.spool.beginUpload(named: "u", size: 8) }
    #expect(folder.names("work").isEmpty)
    #expect(try test.spool.store.jobs().isEmpty)
  }

  @Test("the queue's length counts also within a group")
  func queueLengthWithinGroup() throws {
    test.spool.limits.queueLength = 2
    let outcomes = test.spool.submit((0..<3).map { submission(key: "\($0)") })
    guard case .accepted = outcomes[0], case .accepted = outcomes[1],
      case .refused(let refusal) = outcomes[2]
    else {
      Issue.record("\(outcomes)")
      return
    }
    #expect(refusal.limit == "queue_length")
  }

  @Test("a clip in the inbox that is too large fails as a job that says so, and is kept")
  func largeClipInInbox() throws {
    test.spool.limits.jobBytes = 7
    let job = try test.claim()[0]
    #expect(job.state == .failed && job.error?.contains("'job_bytes'") == true)
    _ = try test.spool.deliver(job.id)
    #expect(folder.content("outbox/c/source.mp4") == "the clip")
  }

  @Test("a store that fails refuses the whole group, and nothing is left of it")
  func failingStore() throws {
    let database = try DatabaseQueue(path: folder.path("state/jobs.sqlite"))
    try database.write {
      try $0.execute(
        sql:
          "CREATE TRIGGER full BEFORE INSERT ON job BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    }
    let outcomes = test.spool.submit([submission(), submission()])
    for outcome in outcomes {
      guard case .refused(let refusal) = outcome else {
        Issue.record("\(outcome)")
        continue
      }
      #expect(refusal.code == .unavailable && refusal.description.contains("disk full"))
    }
    #expect(folder.names("work").isEmpty)
    try database.write { try $0.execute(sql: "DROP TRIGGER full") }
    let job = try test.spool.submit(one: submission()).job
    #expect(folder.names("work") == [job.id.rawValue])
  }

  @Test(
    "clips of a commit that failed, and may turn up after a crash, are kept until another works")
  func failedCommit() throws {
    let database = try DatabaseQueue(path: folder.path("state/jobs.sqlite"))
    // What is wrong shows only when the transaction is to be committed.
    try database.write {
      try $0.execute(
        sql: """
          CREATE TABLE parent (id TEXT PRIMARY KEY);
          CREATE TABLE child (parent TEXT REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
          CREATE TRIGGER orphan AFTER INSERT ON job BEGIN INSERT INTO child VALUES ('none'); END;
          """)
    }
    #expect(refusal(submission())?.code == .unavailable)
    #expect(folder.names("work").count == 1 && test.spool.hasRefusedFolders)
    try database.write { try $0.execute(sql: "DROP TRIGGER orphan") }
    try test.spool.removeRefused()
    #expect(folder.names("work").isEmpty && !test.spool.hasRefusedFolders)
    #expect(try test.spool.store.jobs().isEmpty)
  }

  @Test("a commit that was told as failed, and turns up after a crash, has its clip")
  func lateCommit() throws {
    let job = try test.spool.submit(one: submission(key: "k")).job
    // As if the sync of the commit had failed: its folder has no name yet.
    rename(folder.path("work/\(job.id)"), folder.path("work/.new-\(job.id)"))
    try test.restart()
    #expect(try test.spool.submit(one: submission(key: "k")).job.id == job.id)
    #expect(folder.content("work/\(job.id)/source.mp4") == "the clip")
  }

  @Test("one staged clip that cannot be read is refused alone, and stays where it is")
  func unreadableStagedClip() throws {
    folder.drop("inbox/.good.part", "the clip")
    mkfifo(folder.path("inbox/.pipe.part"), 0o600)
    folder.drop("inbox/.bad.part", "the clip")
    // Root may read everything: a lease that another process holds refuses also it.
    let descriptor = open(folder.path("inbox/.bad.part"), O_RDWR)
    defer { close(descriptor) }
    let outcomes = test.spool.submit(
      [".good.part", ".pipe.part", ".bad.part"].map {
        var submission = submission()
        submission.clip = .staged($0)
        return submission
      })
    guard case .accepted(let job, false) = outcomes[0], case .refused = outcomes[1],
      case .refused(let refusal) = outcomes[2]
    else {
      Issue.record("\(outcomes)")
      return
    }
    #expect(refusal.code == .state && refusal.description.contains("written to"))
    #expect(folder.content("work/\(job.id)/source.mp4") == "the clip")
    #expect(folder.names("inbox") == [".bad.part", ".pipe.part"])
    #expect(!test.spool.hasUnfinishedClaims)
  }

  @Test("a key that another job has is refused for a retry")
  func retryWithForeignKey() throws {
    let failed = try test.spool.submit(one: submission(key: "mine")).job
    _ = try test.finish(failed.id, as: .failed, error: "no")
    _ = try test.spool.deliver(failed.id)
    let refused = refusal(
      try test.spool.retrySubmission(of: failed.id, key: "mine", priority: nil))
    #expect(refused?.code == .state)
    let retry = try test.spool.retrySubmission(of: failed.id, key: "again", priority: nil)
    let first = try test.spool.submit(one: retry)
    let second = try test.spool.submit(one: retry)
    #expect(!first.known && second.known && first.job.id == second.job.id)
  }

  @Test("a job that ends before its folder could be named is delivered with its clip")
  func endedBeforeNamed() throws {
    let job = try test.spool.submit(one: submission()).job
    rename(folder.path("work/\(job.id)"), folder.path("work/.new-\(job.id)"))
    _ = try test.spool.store.finish(job.id, as: .cancelled)
    _ = try test.spool.deliver(job.id)
    #expect(folder.content("outbox/c/source.mp4") == "the clip")
    #expect(folder.names("work").isEmpty)
  }

  @Test("announced sizes that no disk holds are refused, whatever they are")
  func hugeSizes() throws {
    test.spool.limits.jobBytes = .max
    for size in [Int.max, Int.max - 1, 1 << 62] {
      #expect(throws: Refusal.self) { try test.spool.beginUpload(named: "u", size: size) }
      #expect(throws: Refusal.self) {
        try test.spool.beginUpload(named: "u", size: 1, expecting: size)
      }
    }
    let job = try test.spool.submit(one: submission()).job
    for (offset, size) in [(Int.min, 1), (0, Int.min), (-1, Int.max), (2, 1), (0, 0)] {
      #expect(throws: Refusal.self) {
        try test.spool.keepForWorker(
          Data([1, 2]), at: offset, of: size, in: "edited.mp4", of: job.id)
      }
    }
    for file in ["../x", "checkpoint/../x", "checkpoint/.x", "checkpoint/", "source", "checkpoint"]
    {
      #expect(throws: Refusal.self) {
        try test.spool.keepForWorker(Data([1]), at: 0, of: 1, in: file, of: job.id)
      }
    }
  }

  @Test("a worker's file appears when it is whole, whatever parts come again or out of order")
  func workersFile() throws {
    let job = try test.spool.submit(one: submission()).job
    func keep(_ text: String, at offset: Int) throws -> Int {
      try test.spool.keepForWorker(
        Data(text.utf8), at: offset, of: 6, in: "checkpoint/a", of: job.id)
    }
    #expect(try keep("abc", at: 0) == 3)
    #expect(try keep("ef", at: 4) == 3)
    #expect(try keep("abc", at: 0) == 3)
    #expect(try test.spool.checkpointFiles(of: job.id).isEmpty)
    #expect(try keep("def", at: 3) == 6)
    #expect(folder.content("work/\(job.id)/checkpoint/a") == "abcdef")
    #expect(
      try test.spool.checkpointFiles(of: job.id) == [ResultFile(name: "a", bytes: 6)])
    #expect(
      try test.spool.readForWorker("checkpoint/a", of: job.id, offset: 4, length: 9).bytes
        == Data("ef".utf8))
    try test.spool.keepCheckpointFiles([], of: job.id)
    #expect(try test.spool.checkpointFiles(of: job.id).isEmpty)
  }

  @Test("a folder of the outbox that another job has taken since is not shown as this job's")
  func takenFolder() throws {
    let first = try test.claim()[0]
    _ = try test.finish(first.id)
    let delivered = try test.spool.deliver(first.id)
    try FileSystem.removeAll(folder.path("outbox/c"))
    let second = try test.claim()[0]
    _ = try test.finish(second.id)
    #expect(try test.spool.deliver(second.id).outboxName == "c")
    let refusal = #expect(throws: Refusal.self) { try test.spool.resultFiles(of: delivered) }
    #expect(refusal?.code == .notFound)
  }

  @Test("one job that cannot be put right keeps no other from its start")
  func oneBrokenFolder() throws {
    let broken = try test.spool.submit(one: submission()).job
    let good = try test.spool.submit(one: submission()).job
    _ = try test.spool.store.start(good.id, worker: "w")
    try FileSystem.removeAll(folder.path("work/\(broken.id)"))
    folder.drop("work/\(broken.id)", "no folder")
    let repairs = try test.restart()
    #expect(repairs.contains { $0.job == broken.id })
    #expect(try test.spool.store.job(good.id)?.state == .queued)
  }

  @Test("after a crash before the commit nothing is left; after one behind it the job has its clip")
  func crash() throws {
    let job = try test.spool.submit(one: submission()).job
    // As if the crash had come before the folder got its name …
    rename(folder.path("work/\(job.id)"), folder.path("work/.new-\(job.id)"))
    // … and, of another request, before its record was committed.
    mkdir(folder.path("work/.new-1zzzzzzzzzzzz"), 0o770)
    folder.drop("work/.new-1zzzzzzzzzzzz/source.mp4", "never accepted")
    let repairs = try test.restart()
    #expect(
      repairs.map(\.message) == ["it was never accepted, and what came of it is removed"])
    #expect(folder.names("work") == [job.id.rawValue])
    #expect(folder.content("work/\(job.id)/source.mp4") == "the clip")
    #expect(try test.spool.store.job(job.id)?.state == .queued)
    #expect(folder.names("inbox").isEmpty)
  }

  @Test("a job whose folder could not be named yet is given its name by its first attempt")
  func lateName() throws {
    let job = try test.spool.submit(one: submission()).job
    rename(folder.path("work/\(job.id)"), folder.path("work/.new-\(job.id)"))
    _ = try test.finish(job.id)
    _ = try test.spool.deliver(job.id)
    #expect(folder.content("outbox/c/source.mp4") == "the clip")
  }

  @Test("a failed or cancelled job is repeated with the clip from the outbox, as a new job")
  func retry() throws {
    let failed = try test.claim("c.mp4", ["c.txt": "a cat"])[0]
    let early = #expect(throws: Refusal.self) {
      try test.spool.retrySubmission(of: failed.id, key: nil, priority: nil)
    }
    #expect(early?.code == .state)
    _ = try test.finish(failed.id, as: .failed, error: "no")
    _ = try test.spool.deliver(failed.id)
    let job = try test.spool.submit(
      one: test.spool.retrySubmission(of: failed.id, key: "again", priority: 7)
    ).job
    #expect((job.state, job.name, job.priority, job.key) == (.queued, "c", 7, "again"))
    #expect(job.retryOf == failed.id && job.settings == failed.settings)
    #expect(job.client == failed.client)
    #expect(folder.content("work/\(job.id)/source.mp4") == "the clip")
    _ = try test.finish(job.id)
    #expect(try test.spool.deliver(job.id).outboxName == "c-2")
    #expect(try test.report("c-2")["retry_of"] == .text(failed.id.rawValue))
    #expect(folder.content("outbox/c/source.mp4") == "the clip")
    let done = #expect(throws: Refusal.self) {
      try test.spool.retrySubmission(of: job.id, key: nil, priority: nil)
    }
    #expect(done?.code == .state)
    folder.remove("outbox/c/source.mp4")
    let gone = #expect(throws: Refusal.self) {
      try test.spool.retrySubmission(of: failed.id, key: nil, priority: nil)
    }
    #expect(gone?.code == .notFound)
  }

  @Test("a sidecar's priority is the job's, and its owner is the client")
  func sidecarPriority() throws {
    let job = try test.claim("c.mp4", ["c.yaml": "prompt: a cat\npriority: -5\n"])[0]
    #expect(job.priority == -5 && job.client == ClientName.user(getuid()))
    let bad = try test.claim("d.mp4", ["d.yaml": "prompt: a cat\npriority: 101\n"])[0]
    #expect(bad.error?.contains("'priority' takes a whole number from -100 to 100") == true)
  }

  @Test("an outbox that was removed is made again")
  func missingOutbox() throws {
    let job = try test.claim()[0]
    rmdir(folder.path("outbox"))
    _ = try test.finish(job.id)
    _ = try test.spool.deliver(job.id)
    #expect(folder.names("outbox") == ["c"])
  }

  @Test("a clock that is set back changes no order")
  func clockSetBack() throws {
    let first = try test.spool.submit(one: submission(), now: Date(timeIntervalSince1970: 2e9)).job
    let second = try test.spool.submit(one: submission(), now: Date(timeIntervalSince1970: 1e9)).job
    try test.restart()
    let third = try test.spool.submit(one: submission(), now: Date(timeIntervalSince1970: 1e9)).job
    #expect(try test.spool.store.jobs().map(\.id) == [first.id, second.id, third.id])
    #expect(try test.spool.store.nextQueued(by: JobTurns())?.id == first.id)
    _ = try test.spool.store.start(first.id, worker: "w", now: Date(timeIntervalSince1970: 1e9))
    _ = try test.spool.store.finish(first.id, as: .done, now: Date(timeIntervalSince1970: 1e9))
    #expect(try test.spool.deliver(first.id).outboxName == "c")
  }

  @Test("a result's files are read in parts; nothing else is")
  func resultFiles() throws {
    var job = try test.claim()[0]
    #expect(throws: Refusal.self) { try test.spool.resultFiles(of: job) }
    _ = try test.finish(job.id)
    job = try test.spool.deliver(job.id)
    symlink("/etc/passwd", folder.path("outbox/c/link.txt"))
    mkfifo(folder.path("outbox/c/pipe"), 0o600)
    #expect(
      try test.spool.resultFiles(of: job).map(\.name) == [
        "edited.mp4", "job.log", "report.html", "result.json", "sidecar.txt", "source.mp4",
      ])
    let part = try test.spool.readResult("source.mp4", of: job, offset: 4, length: 100)
    #expect(part.bytes == Data("clip".utf8) && part.size == 8)
    #expect(
      try test.spool.readResult("source.mp4", of: job, offset: 100, length: 1).bytes.isEmpty)
    for name in ["link.txt", "pipe", "../lock", "..", "", "none", "a/b", "\0"] {
      let refusal = #expect(throws: Refusal.self) {
        try test.spool.readResult(name, of: job, offset: 0, length: 10)
      }
      #expect(refusal?.code == .notFound)
    }
    rename(folder.path("outbox/c"), folder.path("outbox/moved"))
    symlink(folder.path("outbox/moved"), folder.path("outbox/c"))
    #expect(throws: Refusal.self) { try test.spool.resultFiles(of: job) }
  }

  @Test("a link that somebody puts in a result's place meanwhile leads nowhere")
  func exchangedResult() throws {
    let claimed = try test.claim()[0]
    _ = try test.finish(claimed.id)
    let job = try test.spool.deliver(claimed.id)
    try FileSystem.makeFolder(folder.path("keys"))
    try FileSystem.write(Data("secret".utf8), toNew: folder.path("keys/stemd.secret"))
    symlink(folder.path("keys"), folder.path("outbox/link"))
    exchanging(folder.path("outbox/c"), folder.path("outbox/link")) {
      for _ in 0..<3000 {
        #expect(throws: Refusal.self) {
          try test.spool.readResult("stemd.secret", of: job, offset: 0, length: 10)
        }
      }
    }
  }

  /// Does something while another thread lets two files change their places all the time.
  private func exchanging(_ one: String, _ other: String, _ body: () throws -> Void) rethrows {
    let isOver = Atomic(false)
    let ended = DispatchSemaphore(value: 0)
    Thread {
      while !isOver.load(ordering: .relaxed) {
        // 2 is RENAME_EXCHANGE.
        renameat2(AT_FDCWD, one, AT_FDCWD, other, 2)
      }
      ended.signal()
    }.start()
    defer {
      isOver.store(true, ordering: .relaxed)
      ended.wait()
    }
    try body()
  }
}

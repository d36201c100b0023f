import Foundation
import JobQueue
import Journal
import Messaging
import Testing

/// What the journal of a machine would get.
@Suite(.serialized) struct JournalServiceTests {
  @Test(
    "the journal tells a job's life by its fields, and nothing lacks what the catalog says of it",
    JournalSocket.canStandIn)
  func life() throws {
    let journal = try JournalSocket()
    // oneDNN talks to standard output then.
    let service = try Service(environment: ["ONEDNN_VERBOSE": "1"], journal: journal)
    service.drop("good.mp4", try Service.clip.get())
    service.drop("good.yaml", Service.sidecar())
    let good = try service.finished("good")
    service.drop("typo.mp4", try Service.clip.get())
    service.drop("typo.yaml", "promt: a ball\n")
    let typo = try service.finished("typo")
    service.drop("notes.mp4", Data("no video".utf8))
    service.drop("notes.yaml", Service.sidecar())
    let error = try #require(try service.finished("notes").error)
    #expect(error.hasPrefix("\"notes.mp4\" is not a video"), "\(error)")
    mkfifo(service.inbox("pipe.mp4"), 0o644)
    service.drop("pipe.yaml", Service.sidecar())
    let long = try service.submit("long", Service.settings(steps: 500))
    try service.eventually("it is worked on") {
      try service.workerStatuses().first?.progress?.stage == .invert
    }
    let pid = try #require(service.workerStatuses().first).pid
    Glibc.kill(pid, SIGKILL)
    try service.eventually("another worker has it") {
      try service.workerStatuses().first.map { $0.pid != pid && $0.job == long.id } == true
    }
    _ = try service.ask(.cancel(job: long.id))
    #expect(try service.finished("long").state == .cancelled)
    try service.eventually("the pipe is reported") {
      journal.entries.contains { $0.id == .inboxNotice }
    }
    service.kill(daemonWith: SIGTERM)
    try service.eventually("it says that it stopped") {
      journal.entries.contains { $0.id == .daemonStopped }
    }
    let entries = journal.entries

    func events(of job: Job) -> [JournalEvent] {
      entries.filter { $0["JOB"] == job.id.rawValue }.compactMap(\.id)
    }
    #expect(events(of: good) == [.jobAccepted, .jobDone])
    #expect(events(of: typo) == [.jobAccepted, .jobFailed])
    #expect(events(of: long) == [.jobAccepted, .workerDied, .jobQueuedAgain, .jobCancelled])
    #expect(entries.contains { $0.id == .daemonStarted })
    #expect(entries.contains { $0.id == .daemonStopping })

    for entry in entries where entry["SYSLOG_IDENTIFIER"] == "stemd" && entry["JOB"] != nil {
      #expect(entry["CLIP"]?.hasSuffix(".mp4") == true, "\(entry)")
      #expect(entry["CLIENT"]?.hasPrefix("user:") == true, "\(entry)")
    }
    let given = entries.filter { $0["MESSAGE"]?.hasPrefix("given to worker-1") == true }
    #expect(given.count >= 3 && given.allSatisfy { $0["WORKER"] == "worker-1" })
    let died = try #require(entries.first { $0.id == .workerDied })
    #expect(died["WORKER"] == "worker-1" && died["STAGE"] == "invert" && died["PRIORITY"] == "4")
    #expect(entries.first { $0.id == .inboxNotice }?["CLIP"] == "pipe.mp4")

    // The worker's own lines, and what a library said in it.
    let chatter = entries.filter { $0["MESSAGE"]?.hasPrefix("onednn_verbose") == true }
    #expect(!chatter.isEmpty)
    for entry in chatter {
      #expect(entry["SYSLOG_IDENTIFIER"] == "stem-worker" && entry["WORKER"] == "worker-1")
      #expect([good.id.rawValue, long.id.rawValue].contains(entry["JOB"]), "\(entry)")
    }
    #expect(chatter.contains { $0["STAGE"] == "invert" })

    let catalog = try Self.fieldsOfCatalog()
    for entry in entries {
      #expect(["2", "3", "4", "5", "6"].contains(entry["PRIORITY"]), "\(entry)")
      guard let id = entry["MESSAGE_ID"] else { continue }
      let missing = try #require(catalog[id], "\(entry)").subtracting(entry.keys)
      #expect(missing.isEmpty, "\(entry) lacks \(missing)")
    }
    // Nothing went past the journal.
    #expect(service.log == "")
  }

  /// The fields that an event's entry in the catalog names, by the event's id.
  private static func fieldsOfCatalog() throws -> [String: Set<String>] {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(
      path: "../../systemd/stemd.catalog")
    let entries = try String(contentsOf: file, encoding: .utf8).split(separator: "\n-- ")
    return Dictionary(
      uniqueKeysWithValues: entries.dropFirst().map { entry in
        (String(entry.prefix(32)), Set(entry.matches(of: /@([A-Z_]+)@/).map { String($0.1) }))
      })
  }
}

extension JournalSocket.Entry {
  fileprivate var id: JournalEvent? { self["MESSAGE_ID"].flatMap(JournalEvent.init(rawValue:)) }
}

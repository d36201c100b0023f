import EditSettings
import Foundation
import GRDB

/// The record of all jobs, in SQLite. Every change is one transaction that is on the disk when the
/// call returns.
///
/// Used from one thread. All methods throw GRDB's `DatabaseError` where the disk fails, and
/// `JobStoreError` where the job is not in the state that the change starts from.
public final class JobStore {
  let database: DatabaseQueue
  /// Counted when asked for after a change, not at every look.
  private var knownCounts: [JobState: Int]?

  /// - Throws: `JobStoreError` with one sentence where the file is no store of this program's, or
  ///   of a newer version.
  public init(path: String) throws {
    do {
      var configuration = Configuration()
      configuration.journalMode = .wal
      // Somebody else may look into it, but not hold up the daemon.
      configuration.busyMode = .timeout(1)
      database = try DatabaseQueue(path: path, configuration: configuration)
      let migrator = JobStoreMigrations.all
      if try database.read(migrator.hasBeenSuperseded) {
        throw JobStoreError(
          "the job store \(displayName(path)) was made by a newer stemd: install that version again"
        )
      }
      try migrator.migrate(database)
      // GRDB sets NORMAL, under which the last commits before a power cut are lost, whenever it
      // turns WAL on: so after it.
      try database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
    } catch let error as DatabaseError {
      throw JobStoreError(
        "cannot open the job store \(displayName(path)): \(error.message ?? "\(error.resultCode)")")
    }
    guard try synchronous == 2, try journalMode == "wal" else {
      throw JobStoreError(
        "the job store \(displayName(path)) cannot be made durable here: put it on a local file system"
      )
    }
  }

  /// SQLite's `PRAGMA synchronous` in force: 2 is FULL.
  var synchronous: Int {
    get throws { try database.unsafeRead { try Int.fetchOne($0, sql: "PRAGMA synchronous") ?? -1 } }
  }
  var journalMode: String {
    get throws {
      try database.unsafeRead { try String.fetchOne($0, sql: "PRAGMA journal_mode") ?? "" }
    }
  }

  // MARK: Reading

  public func job(_ id: JobID) throws -> Job? { try record(id)?.job }

  /// The newest `limit` jobs in one of `states` (`nil`: in any), oldest first.
  public func jobs(in states: [JobState]? = nil, limit: Int = .max) throws -> [Job] {
    let names = (states ?? JobState.allCases).map(\.rawValue)
    return try database.unsafeRead { database in
      try JobRecord.filter(names.contains(Column("state"))).order(Column("id").desc).limit(
        max(0, limit)
      ).fetchAll(database)
    }.reversed().compactMap(\.job)
  }

  /// Jobs that reached a final state, but not yet the outbox.
  public func undelivered() throws -> [Job] {
    let final = JobState.allCases.filter(\.isFinal).map(\.rawValue)
    return try records(where: final.contains(Column("state")) && Column("outboxName") == nil)
      .compactMap(\.job)
  }

  public func countsByState() throws -> [JobState: Int] {
    if let known = knownCounts { return known }
    let counts = try counted("SELECT state, COUNT(*) AS count FROM job GROUP BY state")
    knownCounts = counts
    return counts
  }

  public func countsByState(client: String) throws -> [JobState: Int] {
    try counted(
      "SELECT state, COUNT(*) AS count FROM job WHERE client = ? GROUP BY state", [client])
  }

  private func counted(_ sql: String, _ arguments: StatementArguments = []) throws
    -> [JobState: Int]
  {
    var counts = Dictionary(uniqueKeysWithValues: JobState.allCases.map { ($0, 0) })
    for row in try database.unsafeRead({ try Row.fetchAll($0, sql: sql, arguments: arguments) }) {
      if let state = JobState(rawValue: row["state"]) { counts[state] = row["count"] }
    }
    return counts
  }

  // MARK: The daemon's own state

  public var mode: DaemonMode {
    get throws {
      let value = try database.unsafeRead {
        try String.fetchOne($0, sql: "SELECT value FROM daemon WHERE name = 'mode'")
      }
      return value.flatMap(DaemonMode.init(rawValue:)) ?? .running
    }
  }

  public func set(mode: DaemonMode) throws {
    try write {
      try $0.execute(
        sql:
          "INSERT INTO daemon (name, value) VALUES ('mode', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        arguments: [mode.rawValue])
    }
  }

  // MARK: Transitions

  /// Queued → running, for each; counts an attempt.
  public func start(_ assigned: [(job: JobID, worker: String)], now: Date = Date()) throws -> [Job]
  {
    try change(assigned.map(\.job), from: [.queued]) { index, record in
      record.state = JobState.running.rawValue
      record.worker = assigned[index].worker
      record.attempts += 1
      record.started = record.started ?? now.toMilliseconds
    }
  }

  public func start(_ id: JobID, worker: String, now: Date = Date()) throws -> Job {
    try start([(id, worker)], now: now)[0]
  }

  /// Running → queued.
  /// - Parameters:
  ///   - failed: whether the attempt failed.
  ///   - interrupted: whether it was cut off through no fault of the job.
  ///   - ran: seconds that a worker had it in this attempt.
  ///   - forgivesFailures: earlier failures and interruptions count no more, for this attempt got
  ///     further.
  /// - Returns: the job, and how many of its attempts failed.
  public func requeue(
    _ id: JobID, failed: Bool, interrupted: Bool = false, ran: Double = 0,
    forgivesFailures: Bool = false
  ) throws -> (job: Job, failures: Int) {
    var failures = 0
    let job = try change(id, from: [.running]) { record in
      record.state = JobState.queued.rawValue
      record.worker = nil
      record.failures = (forgivesFailures ? 0 : record.failures) + (failed ? 1 : 0)
      record.interruptions = (forgivesFailures ? 0 : record.interruptions) + (interrupted ? 1 : 0)
      record.ranSeconds += ran
      failures = record.failures
    }
    return (job, failures)
  }

  /// Notes that a running job is to end as cancelled, whatever becomes of its worker and of the
  /// daemon.
  public func requestCancel(_ id: JobID) throws -> Job {
    try change(id, from: [.running]) { $0.cancelRequested = true }
  }

  public func isCancelRequested(_ id: JobID) throws -> Bool {
    try record(id)?.cancelRequested ?? false
  }

  /// How many attempts of the job failed so far.
  public func failures(of id: JobID) throws -> Int { try record(id)?.failures ?? 0 }

  /// How many attempts in a row were cut off without getting any further.
  public func interruptions(of id: JobID) throws -> Int { try record(id)?.interruptions ?? 0 }

  /// Seconds that workers had the job, in attempts that have ended.
  public func ranSeconds(of id: JobID) throws -> Double { try record(id)?.ranSeconds ?? 0 }

  /// Queued or running → done, failed or cancelled. What is left is its delivery.
  public func finish(
    _ id: JobID, as state: JobState, error: String? = nil, isQuarantined: Bool = false,
    figures: (any Encodable)? = nil, stoppedAt: String? = nil, now: Date = Date()
  ) throws -> Job {
    precondition(state.isFinal)
    let figures = try figures.map { String(decoding: try JSONEncoder().encode($0), as: UTF8.self) }
    return try change(id, from: [.queued, .running]) { record in
      record.state = state.rawValue
      record.error = error
      record.stoppedAt = stoppedAt
      record.isQuarantined = isQuarantined
      record.figures = figures
      record.finished = now.toMilliseconds
      record.worker = nil
    }
  }

  func setDelivered(_ id: JobID, outboxName: String) throws -> Job {
    try change(id, from: JobState.allCases.filter(\.isFinal)) { $0.outboxName = outboxName }
  }

  private func change(_ id: JobID, from states: [JobState], _ change: (inout JobRecord) -> Void)
    throws -> Job
  {
    try self.change([id], from: states) { _, record in change(&record) }[0]
  }

  /// All of them in one transaction, or none.
  private func change(
    _ ids: [JobID], from states: [JobState], _ change: (Int, inout JobRecord) -> Void
  ) throws -> [Job] {
    try write { database in
      try ids.enumerated().map { index, id in
        guard var record = try JobRecord.fetchOne(database, key: id.rawValue), let job = record.job
        else {
          throw JobStoreError("there is no job \(id)")
        }
        guard states.contains(job.state) else {
          throw JobStoreError(
            "job \(id) is \(job.state.rawValue), not \(states.map(\.rawValue).joined(separator: " or "))"
          )
        }
        change(index, &record)
        try record.update(database)
        // As it was stored: a date keeps its milliseconds only.
        guard let changed = try JobRecord.fetchOne(database, key: id.rawValue)?.job else {
          throw JobStoreError("job \(id) has no state")
        }
        return changed
      }
    }
  }

  private func write<Result>(_ body: (Database) throws -> Result) throws -> Result {
    knownCounts = nil
    return try database.write(body)
  }

  /// Whether an error leaves open what the disk has of the transaction.
  static func isFailedCommit(_ error: any Error) -> Bool {
    (error as? DatabaseError)?.sql?.uppercased().hasPrefix("COMMIT") ?? false
  }

  // MARK: Claims

  func record(_ id: JobID) throws -> JobRecord? {
    try database.unsafeRead { try JobRecord.fetchOne($0, key: id.rawValue) }
  }

  func records(where condition: some SQLSpecificExpressible) throws -> [JobRecord] {
    try database.unsafeRead { try JobRecord.filter(condition).order(Column("id")).fetchAll($0) }
  }

  func records(inState state: String) throws -> [JobRecord] {
    try records(where: Column("state") == state)
  }
  func records(ofClip clip: String) throws -> [JobRecord] {
    try records(where: Column("clip") == clip)
  }

  /// What became of an earlier request of this client under the same key.
  func record(client: String, key: String) throws -> JobRecord? {
    try database.unsafeRead {
      try JobRecord.filter(Column("client") == client && Column("key") == key).fetchOne($0)
    }
  }

  /// The newest job that was made of a clip of this stem.
  func newestRecord(clipStem: String) throws -> JobRecord? {
    try database.unsafeRead {
      try JobRecord.filter(Column("clipStem") == clipStem).order(Column("id").desc).fetchOne($0)
    }
  }

  func newestID() throws -> JobID? {
    try database.unsafeRead { try String.fetchOne($0, sql: "SELECT MAX(id) FROM job") }.map(
      JobID.init(rawValue:))
  }

  func insert(_ records: [JobRecord]) throws {
    guard !records.isEmpty else { return }
    try write { database in for record in records { try record.insert(database) } }
  }

  func update(_ records: [JobRecord], deleting deleted: [JobRecord] = []) throws {
    guard !records.isEmpty || !deleted.isEmpty else { return }
    try write { database in
      for record in records { try record.update(database) }
      for record in deleted { try record.delete(database) }
    }
  }
}

/// What is wrong with the store or a change to it; one sentence.
public struct JobStoreError: Error, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }
}

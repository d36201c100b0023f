import Foundation
import GRDB

/// What the store can tell about all jobs since it was made.
public struct JobStatistics: Codable, Sendable, Equatable {
  public struct Share: Codable, Sendable, Equatable {
    public var queued = 0
    public var running = 0
    public init(queued: Int = 0, running: Int = 0) {
      (self.queued, self.running) = (queued, running)
    }
  }

  public var jobs: [String: Int]
  /// Of clients with jobs that are not at their end.
  public var clients: [String: Share]
  public var oldestQueuedSeconds: Double?
  public var attempts: Int
  /// By stage, of jobs that are done.
  public var seconds: [String: Double]
  public var inversionsReused: Int

  public init(
    jobs: [String: Int], clients: [String: Share], oldestQueuedSeconds: Double?, attempts: Int,
    seconds: [String: Double], inversionsReused: Int
  ) {
    self.jobs = jobs
    self.clients = clients
    self.oldestQueuedSeconds = oldestQueuedSeconds
    self.attempts = attempts
    self.seconds = seconds
    self.inversionsReused = inversionsReused
  }

  enum CodingKeys: String, CodingKey {
    case jobs, clients, attempts, seconds
    case oldestQueuedSeconds = "oldest_queued_seconds"
    case inversionsReused = "inversions_reused"
  }
}

extension JobStore {
  /// When the queued job that was accepted first was submitted.
  public var oldestQueued: Date? {
    get throws {
      try database.unsafeRead {
        try Date.fetchOne(
          $0, sql: "SELECT submitted FROM job WHERE state = 'queued' ORDER BY id LIMIT 1")
      }
    }
  }

  /// - Parameter client: `nil` for all clients' jobs.
  public func statistics(client: String? = nil, now: Date = Date()) throws -> JobStatistics {
    let counts = try client.map(countsByState) ?? countsByState()
    // In one place, so that no query forgets whose jobs it may count.
    let (whose, arguments) =
      client.map { ("job.client = ?", StatementArguments([$0])) } ?? ("1", StatementArguments())
    return try database.unsafeRead { database in
      func rows(_ sql: String) throws -> [Row] {
        try Row.fetchAll(database, sql: sql, arguments: arguments)
      }
      var clients: [String: JobStatistics.Share] = [:]
      for row in try rows(
        "SELECT client, state, COUNT(*) AS count FROM job WHERE state IN ('queued', 'running') AND \(whose) GROUP BY client, state"
      ) {
        let client: String = row["client"]
        let count: Int = row["count"]
        if row["state"] == JobState.queued.rawValue {
          clients[client, default: .init()].queued = count
        } else {
          clients[client, default: .init()].running = count
        }
      }
      let seconds = try rows(
        """
        SELECT part.key AS stage, SUM(part.value) AS seconds
        FROM job, json_each(job.figures, '$.seconds') AS part WHERE state = 'done' AND \(whose)
        GROUP BY part.key
        """)
      let oldest = try Date.fetchOne(
        database, sql: "SELECT MIN(submitted) FROM job WHERE state = 'queued' AND \(whose)",
        arguments: arguments)
      return JobStatistics(
        jobs: Dictionary(uniqueKeysWithValues: counts.map { ($0.key.rawValue, $0.value) }),
        clients: clients,
        // A clock that was set back makes nobody wait a negative time.
        oldestQueuedSeconds: oldest.map { max(0, now.timeIntervalSince($0)) },
        attempts: try Int.fetchOne(
          database, sql: "SELECT CAST(TOTAL(attempts) AS INTEGER) FROM job WHERE \(whose)",
          arguments: arguments) ?? 0,
        seconds: Dictionary(
          uniqueKeysWithValues: seconds.map { ($0["stage"] as String, $0["seconds"] as Double) }),
        inversionsReused: try Int.fetchOne(
          database,
          sql:
            "SELECT COUNT(*) FROM job WHERE state = 'done' AND json_extract(figures, '$.inversion_reused') AND \(whose)",
          arguments: arguments) ?? 0)
    }
  }
}

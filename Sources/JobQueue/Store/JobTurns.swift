import GRDB

/// Whose job is next: the greatest priority first; among equals the clients take turns, whoever has
/// fewest running jobs first, then whoever has waited longest for a turn; of one client's jobs the
/// one that was accepted first.
public struct JobTurns: Sendable {
  private var running: [String: Int] = [:]
  /// When each client had its last turn, in turns.
  private var lastTurns: [String: Int] = [:]
  private var turn = 0

  public init() {}

  public mutating func began(client: String) {
    turn += 1
    running[client, default: 0] += 1
    lastTurns[client] = turn
    // Whoever has nothing running and was served long ago is like somebody who never was.
    if lastTurns.count > 10_000 {
      lastTurns = lastTurns.filter { running[$0.key] != nil || $0.value > turn - 5000 }
    }
  }

  public mutating func ended(client: String) {
    guard let count = running[client] else { return }
    running[client] = count > 1 ? count - 1 : nil
  }

  /// - Parameter candidates: the first job of each client, all of one priority.
  func next(of candidates: [(client: String, job: JobID)]) -> JobID? {
    candidates.min { left, right in
      let (a, b) = (rank(left.client), rank(right.client))
      return a != b ? a < b : left.job.rawValue < right.job.rawValue
    }?.job
  }

  private func rank(_ client: String) -> (running: Int, lastTurn: Int) {
    (running[client] ?? 0, lastTurns[client] ?? 0)
  }
}

extension JobStore {
  /// The queued job whose turn it is.
  public func nextQueued(by turns: JobTurns, excluding excluded: Set<JobID> = []) throws -> Job? {
    try database.unsafeRead { database in
      var priority = try Int.fetchOne(
        database, sql: "SELECT MAX(priority) FROM job WHERE state = 'queued'")
      while let current = priority {
        let candidates = try Self.firstOfEachClient(database, current, excluded)
        if let id = turns.next(of: candidates) {
          return try JobRecord.fetchOne(database, key: id.rawValue)?.job
        }
        priority = try Int.fetchOne(
          database, sql: "SELECT MAX(priority) FROM job WHERE state = 'queued' AND priority < ?",
          arguments: [current])
      }
      return nil
    }
  }

  /// Steps from client to client on the index, so that the length of the queue does not matter.
  private static func firstOfEachClient(
    _ database: Database, _ priority: Int, _ excluded: Set<JobID>
  ) throws -> [(client: String, job: JobID)] {
    var candidates: [(client: String, job: JobID)] = []
    let placeholders = databaseQuestionMarks(count: excluded.count)
    let names = excluded.map(\.rawValue)
    var client = try String.fetchOne(
      database, sql: "SELECT MIN(client) FROM job WHERE state = 'queued' AND priority = ?",
      arguments: [priority])
    while let current = client {
      let first = try String.fetchOne(
        database,
        sql: """
          SELECT id FROM job WHERE state = 'queued' AND priority = ? AND client = ?
          AND id NOT IN (\(placeholders)) ORDER BY id LIMIT 1
          """, arguments: StatementArguments([priority]) + [current] + StatementArguments(names))
      if let first { candidates.append((current, JobID(rawValue: first))) }
      client = try String.fetchOne(
        database,
        sql:
          "SELECT MIN(client) FROM job WHERE state = 'queued' AND priority = ? AND client > ?",
        arguments: [priority, current])
    }
    return candidates
  }
}

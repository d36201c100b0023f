import GRDB

/// Which jobs a list is to have; all conditions must hold.
public struct JobFilter: Sendable, Equatable {
  public enum Order: String, Codable, Sendable { case newest, oldest }

  /// `nil`: any.
  public var states: [JobState]?
  public var client: String?
  /// The beginning of the job's name.
  public var name: String?
  /// Ids, exclusive.
  public var after: JobID?
  public var before: JobID?
  /// Which ones, where there are more than `limit`.
  public var order: Order
  public var limit: Int

  public init(
    states: [JobState]? = nil, client: String? = nil, name: String? = nil, after: JobID? = nil,
    before: JobID? = nil, order: Order = .newest, limit: Int = 100
  ) {
    self.states = states
    self.client = client
    self.name = name
    self.after = after
    self.before = before
    self.order = order
    self.limit = limit
  }
}

extension JobStore {
  /// In the order of acceptance.
  /// - Parameter bytes: about how long the jobs' texts may be together.
  /// - Returns: `more`: whether there are others that fit, beyond the limit.
  public func jobs(matching filter: JobFilter, bytes: Int = .max) throws -> (
    jobs: [Job], more: Bool
  ) {
    let states = (filter.states ?? JobState.allCases).map(\.rawValue)
    var request = JobRecord.filter(states.contains(Column("state")))
    if let client = filter.client { request = request.filter(Column("client") == client) }
    if let name = filter.name {
      request = request.filter(sql: "substr(name, 1, length(?)) = ?", arguments: [name, name])
    }
    if let after = filter.after { request = request.filter(Column("id") > after.rawValue) }
    if let before = filter.before { request = request.filter(Column("id") < before.rawValue) }
    let limit = max(0, filter.limit)
    let isNewest = filter.order == .newest
    var jobs: [Job] = []
    var more = false
    try database.unsafeRead { database in
      let records = try request.order(isNewest ? Column("id").desc : Column("id"))
        .limit(limit + 1).fetchCursor(database)
      var length = 0
      while let record = try records.next() {
        length += record.textLength
        more = jobs.count == limit || (length > bytes && !jobs.isEmpty)
        if more { break }
        if let job = record.job { jobs.append(job) }
      }
    }
    return (isNewest ? jobs.reversed() : jobs, more)
  }
}

import Foundation
import JobQueue
import Messaging

/// Clients that want to be told of jobs' changes, each until its lease runs out.
struct Watchers {
  /// Between two events of one job that say nothing but its progress.
  static let pause = Duration.milliseconds(100)

  private struct Watcher {
    /// `nil`: of all jobs.
    var jobs: Set<JobID>?
    var until: ContinuousClock.Instant
  }

  private var watchers: [Data: Watcher] = [:]
  private var lastEvents: [JobID: ContinuousClock.Instant] = [:]
  private var postponed: Set<JobID> = []

  var isEmpty: Bool { watchers.isEmpty }

  /// - Returns: whether this is news; otherwise the lease was renewed.
  mutating func add(_ client: Data, job: JobID?, now: ContinuousClock.Instant) -> Bool {
    var watcher = watchers[client] ?? Watcher(jobs: [], until: now)
    let isNew: Bool
    if let job {
      // Who watches all watches this one.
      isNew = watcher.jobs?.insert(job).inserted ?? false
    } else {
      isNew = watcher.jobs != nil
      watcher.jobs = nil
    }
    watchers[client] = watcher
    renew(client, now: now)
    return isNew
  }

  mutating func renew(_ client: Data, now: ContinuousClock.Instant) {
    watchers[client]?.until = now + .seconds(Watching.lease)
  }

  mutating func remove(_ client: Data) { watchers[client] = nil }

  mutating func removeExpired(now: ContinuousClock.Instant) {
    watchers = watchers.filter { $0.value.until > now }
    lastEvents = lastEvents.filter { now - $0.value < Self.pause }
  }

  func clients(of job: JobID) -> [Data] {
    watchers.filter { $0.value.jobs?.contains(job) ?? true }.map(\.key)
  }

  /// Whether an event that says only how far a job is may go out now; otherwise it is due later.
  mutating func mayTellProgress(of job: JobID, now: ContinuousClock.Instant) -> Bool {
    if let last = lastEvents[job], now - last < Self.pause {
      postponed.insert(job)
      return false
    }
    return true
  }

  mutating func told(_ job: JobID, now: ContinuousClock.Instant) {
    lastEvents[job] = now
    postponed.remove(job)
  }

  /// When the next postponed event is due.
  var nextEvent: ContinuousClock.Instant? {
    postponed.compactMap { lastEvents[$0].map { $0 + Self.pause } }.min()
  }

  func due(now: ContinuousClock.Instant) -> [JobID] {
    postponed.filter { job in lastEvents[job].map { now - $0 >= Self.pause } ?? true }
  }
}

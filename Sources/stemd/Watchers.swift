import Foundation
import JobQueue
import Messaging

/// Clients that want to be told of jobs' changes, each until its lease runs out.
struct Watchers {
  /// Between two events of one job that say nothing but its progress.
  static let pause = Duration.milliseconds(100)

  private struct Watcher {
    var client: Client
    /// The names of the requests, by job; `nil` is the watch of all jobs.
    var requests: [JobID?: String?] = [:]
    var until: ContinuousClock.Instant
    /// Events since the last one that could be sent.
    var missed = 0
  }

  private var watchers: [ClientAddress: Watcher] = [:]
  private var lastEvents: [JobID: ContinuousClock.Instant] = [:]
  private var postponed: Set<JobID> = []
  /// Events that could not be sent, of all watchers.
  private(set) var eventsMissed = 0

  var isEmpty: Bool { watchers.isEmpty }

  /// - Returns: whether this is news; otherwise the lease was renewed.
  mutating func add(_ asker: Asker, job: JobID?, now: ContinuousClock.Instant) -> Bool {
    var watcher = watchers[asker.address] ?? Watcher(client: asker.client, until: now)
    let isNew = watcher.requests[job] == nil
    watcher.requests[job] = .some(asker.id)
    watchers[asker.address] = watcher
    renew(asker.client, now: now)
    return isNew
  }

  /// - Parameter client: Whoever speaks from the address now; another one's watch ends.
  mutating func renew(_ client: Client, now: ContinuousClock.Instant) {
    guard let watcher = watchers[client.address] else { return }
    guard watcher.client.isSame(as: client) else { return remove(client.address) }
    watchers[client.address]?.until = now + .seconds(Watching.lease)
  }

  mutating func remove(_ client: ClientAddress) { watchers[client] = nil }

  mutating func removeExpired(now: ContinuousClock.Instant) {
    watchers = watchers.filter { $0.value.until > now }
    lastEvents = lastEvents.filter { now - $0.value < Self.pause }
  }

  /// Whoever is to be told of the job, and how many events each has missed.
  /// - Parameter isAllowed: Whether a key still is.
  func watchers(of job: Job, isAllowed: (PeerKey) -> Bool) -> [(asker: Asker, missed: Int)] {
    watchers.values.compactMap { watcher in
      if let key = watcher.client.key, !isAllowed(key) { return nil }
      guard let id = watcher.requests[job.id] ?? watcher.requests[nil],
        watcher.client.mayTouch(job)
      else { return nil }
      return (Asker(client: watcher.client, id: id), watcher.missed)
    }
  }

  mutating func note(isSent: Bool, to client: ClientAddress) {
    if isSent {
      watchers[client]?.missed = 0
    } else {
      watchers[client]?.missed += 1
      eventsMissed += 1
    }
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

import Foundation
import JobQueue
import Logging
import Messaging

extension Daemon {
  /// The most jobs that one `list` returns.
  private static let longestList = 1000

  func controlMessage(_ frames: [Data]) {
    let now = ContinuousClock.now
    guard frames.count == 2 else {
      controlComplaints.log(
        "a client's message has \(max(0, frames.count - 1)) frames instead of one", to: logger,
        now: now)
      if let client = frames.first {
        reply(
          .refused("A request is one frame of JSON, not \(max(0, frames.count - 1)) frames."),
          to: client)
      }
      return
    }
    let client = frames[0]
    do {
      let request = try MessageCoding.decode(ControlRequest.self, from: frames[1])
      watchers.renew(client, now: now)
      try answer(request, client, now)
    } catch {
      controlComplaints.log("a client's request is refused: \(error)", to: logger, now: now)
      reply(.refused("\(error)"), to: client)
    }
  }

  private func answer(_ request: ControlRequest, _ client: Data, _ now: ContinuousClock.Instant)
    throws
  {
    switch request {
    case .submit(let stagedName, let name, let settings):
      let job = try spool.submit(stagedName: stagedName, name: name, settings: settings)
      reply(.job(job), to: client)
      welcome(job)
    case .status(let id?): reply(.job(try job(id)), to: client)
    case .status(nil): reply(.daemon(try status()), to: client)
    case .list(let states, let limit):
      reply(
        jobs: try spool.store.jobs(in: states, limit: min(max(0, limit), Self.longestList)),
        to: client)
    case .watch(let id):
      let job = try id.map(job)
      let isNew = watchers.add(client, job: id, now: now)
      reply(.watching, to: client)
      // Of a job that is at its end nothing more would be heard.
      if isNew, let job { reply(.event(job), to: client) }
    case .unwatch:
      watchers.remove(client)
      reply(.unwatched, to: client)
    case .cancel(let id): reply(.job(try cancel(id, now)), to: client)
    }
  }

  private func job(_ id: JobID) throws -> Job {
    guard let job = try spool.store.job(id) else {
      throw Refusal("there is no job '\(displayName(String(id.rawValue.prefix(40))))'")
    }
    return withProgress(job)
  }

  private func withProgress(_ job: Job) -> Job {
    guard job.state == .running else { return job }
    var job = job
    job.progress = workers.values.first { $0.work?.assignment.job == job.id }?.work?.progress
    return job
  }

  private func status() throws -> DaemonStatus {
    DaemonStatus(
      version: Stemd.version, pid: getpid(), started: started,
      jobsByState: Dictionary(
        uniqueKeysWithValues: try spool.store.countsByState().map { ($0.key.rawValue, $0.value) }),
      workers: workers.values.map(\.status).sorted { $0.name < $1.name })
  }

  private func cancel(_ id: JobID, _ now: ContinuousClock.Instant) throws -> Job {
    let job = try job(id)
    switch job.state {
    case .done, .failed, .cancelled: throw Refusal("job \(id) is \(job.state.rawValue) already")
    case .queued:
      pauses[id] = nil
      logForJob(id, .notice, "cancelled before it began")
      conclude(id, .cancelled)
    case .running:
      _ = try spool.store.requestCancel(id)
      if let name = workers.first(where: { $0.value.work?.assignment.job == id })?.key,
        let worker = workers[name]
      {
        if worker.work?.cancelled == nil {
          logForJob(id, .notice, "to be cancelled", worker: displayName(name))
          workers[name]?.work?.cancelled = now
        }
        _ = send(.cancel(job: id), to: worker)
      }
    }
    return try self.job(id)
  }

  // MARK: Replies and events

  private func reply(_ reply: ControlReply, to client: Data) {
    do {
      // A client that is gone or does not read gets nothing more; what it missed it may ask for.
      _ = try controlSocket.send([client, MessageCoding.encode(reply)])
    } catch {
      logger.warning("a reply cannot be sent: \(error)")
    }
  }

  /// The newest of the jobs, as many as fit into a message.
  private func reply(jobs: [Job], to client: Data) {
    var jobs = jobs.map(withProgress)[...]
    while true {
      guard let data = try? MessageCoding.encode(ControlReply.jobs(Array(jobs))),
        data.count > MessageSocket.largestFrame
      else {
        break
      }
      jobs = jobs.suffix(jobs.count / 2)
    }
    reply(.jobs(Array(jobs)), to: client)
  }

  /// Tells the watchers that a job changed.
  func tell(_ job: Job) {
    guard !watchers.isEmpty else { return }
    watchers.told(job.id, now: .now)
    for client in watchers.clients(of: job.id) { reply(.event(withProgress(job)), to: client) }
  }

  /// Tells the watchers how far a job is, but no more than ten times a second.
  func tellProgress(of id: JobID, now: ContinuousClock.Instant) {
    guard !watchers.clients(of: id).isEmpty, watchers.mayTellProgress(of: id, now: now),
      let job = try? spool.store.job(id)
    else {
      return
    }
    tell(job)
  }

  func tellPostponedProgress(now: ContinuousClock.Instant) {
    for id in watchers.due(now: now) {
      guard let job = try? spool.store.job(id), job.state == .running else {
        watchers.told(id, now: now)
        continue
      }
      tell(job)
    }
  }
}

/// Why a request is refused; one sentence.
struct Refusal: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

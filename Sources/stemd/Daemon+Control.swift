import Foundation
import JobQueue
import Logging
import Messaging

extension Daemon {
  /// Answers wait in a queue of many for a client that does not read; so none is long.
  private static let longestListBytes = 256 << 10

  func controlMessage(_ message: ReceivedMessage, onSocket socket: Int) {
    let now = ContinuousClock.now
    let address = ClientAddress(socket: socket, peer: message.peer)
    var id: String?
    do {
      try checkFrames(message.frames)
      let (named, body) = try MessageCoding.message(NamedRequest.self, from: message.frames)
      id = named.id
      let client = try client(at: address, message)
      watchers.renew(client, now: now)
      try answer(named.request, body, Asker(client: client, id: id), now)
    } catch {
      let refusal = error as? Refusal ?? Refusal(.unavailable, "\(error)")
      id = id ?? MessageCoding.requestID(in: message.frames)
      if [.malformed, .version, .unknown].contains(refusal.code) {
        controlComplaints.log(
          .messageRefused, "a client's request is refused: \(refusal)", to: logger, now: now)
      }
      reply(.error(refusal), to: Asker(address: address, id: id))
    }
  }

  private func checkFrames(_ frames: [Data]) throws {
    let limit = configuration.limits.messageBytes
    if let long = frames.first(where: { $0.count > limit }) {
      throw Refusal(
        .limit,
        "A frame of \(long.count) bytes is above the limit 'message_bytes' of \(limit): send it in parts.",
        limit: "message_bytes")
    }
  }

  private func client(at address: ClientAddress, _ message: ReceivedMessage) throws -> Client {
    guard address.socket > 0 else {
      return Client(
        address: address, name: localUsers.name(of: message.localUser), isOperator: true,
        isLocal: true)
    }
    guard let key = message.key, isAllowed(key) else {
      throw Refusal(
        .forbidden, "this key is not allowed any more: ask the operator of this stemd")
    }
    return Client(
      address: address,
      name: key.role == .operator
        ? ClientName.operator(key.name) : ClientName.key(key.name),
      isOperator: key.role == .operator, isLocal: false, key: key)
  }

  private func answer(
    _ request: ControlRequest, _ body: Data?, _ asker: Asker, _ now: ContinuousClock.Instant
  ) throws {
    let client = asker.client
    switch request {
    case .submit(let submission): try submit(submission, body, asker, now)
    case .chunk(let upload, let offset): try takeChunk(upload, offset, body, asker, now)
    case .abandon(let upload):
      try uploads.remove(upload, of: client.name)
      reply(.abandoned, to: asker)
    case .status(let id?): reply(.job(try job(id, for: client)), to: asker)
    case .status(nil): reply(.daemon(try status(for: client)), to: asker)
    case .list(var filter):
      if !client.isOperator { filter.client = client.name }
      let (jobs, more) = try spool.store.jobs(matching: filter, bytes: Self.longestListBytes)
      reply(jobs: jobs, more: more, isNewest: filter.order == .newest, to: asker)
    case .watch(let id): try watch(id, asker, now)
    case .unwatch:
      watchers.remove(client.address)
      reply(.unwatched, to: asker)
    case .cancel(let id):
      try cancel(try job(id, for: client), now)
      reply(.job(try job(id, for: client)), to: asker)
    case .retry(let id, let key, let priority):
      let job = try job(id, for: client)
      if let key, let known = try spool.knownJob(client: job.client, key: key, retryOf: id) {
        return reply(.job(known, known: true), to: asker)
      }
      try acceptsJobs()
      var submission = try spool.retrySubmission(of: id, key: key, priority: priority)
      if !client.isOperator { submission.priority = min(0, submission.priority) }
      pendingSubmissions.append(PendingSubmission(submission: submission, asker: asker))
    case .files(let id):
      let job = try job(id, for: client)
      reply(.files(job: id, try spool.resultFiles(of: job)), to: asker)
    case .fetch(let id, let file, let offset, let length):
      try fetch(file, of: try job(id, for: client), offset: offset, length: length, asker)
    case .workers:
      try onlyOperators(client, "workers")
      reply(.workers(workerStatuses), to: asker)
    case .stats:
      let statistics = try spool.store.statistics(client: client.isOperator ? nil : client.name)
      reply(
        .stats(
          ServiceStatistics(
            store: statistics, uploads: uploads.count, eventsMissed: watchers.eventsMissed)),
        to: asker)
    case .config:
      try onlyOperators(client, "config")
      reply(.config(configurationValues), to: asker)
    case .pause: try set(mode: .paused, client, asker)
    case .resume: try set(mode: .running, client, asker)
    case .drain: try set(mode: .draining, client, asker)
    }
  }

  private func onlyOperators(_ client: Client, _ request: String) throws {
    guard client.isOperator else {
      throw Refusal(.forbidden, "'\(request)' is for operators: this key is a client's")
    }
  }

  private func set(mode: DaemonMode, _ client: Client, _ asker: Asker) throws {
    try onlyOperators(client, mode == .running ? "resume" : mode == .paused ? "pause" : "drain")
    try set(mode: mode, by: client.name)
    reply(.daemon(try status(for: client)), to: asker)
  }

  func job(_ id: JobID, for client: Client) throws -> Job {
    guard let job = try spool.store.job(id), client.mayTouch(job) else {
      throw Refusal(
        .notFound, "there is no job '\(displayName(String(id.rawValue.prefix(40))))'")
    }
    return withProgress(job)
  }

  private func withProgress(_ job: Job) -> Job {
    guard job.state == .running, let name = job.worker else { return job }
    var job = job
    if let work = workers[name]?.work, work.assignment.job == job.id {
      job.progress = work.progress
    }
    return job
  }

  private var workerStatuses: [WorkerStatus] {
    workers.values.map(\.status).sorted { $0.name < $1.name }
  }

  private func status(for client: Client) throws -> DaemonStatus {
    DaemonStatus(
      version: Stemd.version, pid: getpid(), started: started, mode: mode,
      jobs: Dictionary(
        uniqueKeysWithValues: try
          (client.isOperator
          ? spool.store.countsByState() : spool.store.countsByState(client: client.name)).map {
            ($0.key.rawValue, $0.value)
          }),
      workers: client.isOperator ? Array(workerStatuses.prefix(Self.mostWorkersInStatus)) : nil)
  }

  private func cancel(_ job: Job, _ now: ContinuousClock.Instant) throws {
    let id = job.id
    switch job.state {
    case .done, .failed, .cancelled:
      throw Refusal(.state, "job \(id) is \(job.state.rawValue) already")
    case .queued:
      pauses[id] = nil
      logForJob(id, .notice, "cancelled before it began")
      conclude(id, .cancelled)
    case .running:
      _ = try spool.store.requestCancel(id)
      if let name = job.worker, workers[name]?.work?.assignment.job == id {
        tellToCancel(name, because: "to be cancelled", now)
      }
    }
  }

  // MARK: Replies and events

  func reply(_ reply: ControlReply, body: Data? = nil, to asker: Asker) {
    _ = transmit(NamedReply(reply, id: asker.id), body: body, to: asker.address)
  }

  /// - Returns: whether it is on its way. A client that is gone or does not read gets nothing more;
  ///   what it missed it may ask for.
  private func transmit(_ reply: NamedReply, body: Data? = nil, to address: ClientAddress) -> Bool {
    do {
      return try controlSockets[address.socket].send(
        [address.peer] + MessageCoding.frames(reply, body: body))
    } catch {
      controlComplaints.log(
        .messageRefused, "a reply cannot be sent: \(error)", to: logger, now: .now)
      if case .event = reply.reply { return false }
      // Whoever asked is not to wait in vain.
      let refusal = NamedReply(.error(Refusal(.unavailable, "\(error)")), id: reply.id)
      _ = try? controlSockets[address.socket].send([address.peer] + MessageCoding.frames(refusal))
      return false
    }
  }

  /// As many of the jobs as fit into a message.
  private func reply(jobs: [Job], more: Bool, isNewest: Bool, to asker: Asker) {
    var jobs = jobs.map(withProgress)[...]
    var more = more
    while jobs.count > 1,
      let data = try? MessageCoding.encode(
        NamedReply(.jobs(Array(jobs), more: more), id: asker.id)),
      data.count > Self.longestListBytes
    {
      jobs = isNewest ? jobs.suffix(jobs.count / 2) : jobs.prefix(jobs.count / 2)
      more = true
    }
    reply(.jobs(Array(jobs), more: more), to: asker)
  }

  private func watch(_ id: JobID?, _ asker: Asker, _ now: ContinuousClock.Instant) throws {
    let job = try id.map { try self.job($0, for: asker.client) }
    let isNew = watchers.add(asker, job: id, now: now)
    reply(.watching, to: asker)
    // Of a job that is at its end nothing more would be heard.
    if isNew, let job { reply(.event(job), to: asker) }
  }

  /// Tells the watchers that a job changed.
  func tell(_ job: Job) {
    guard !watchers.isEmpty else { return }
    watchers.told(job.id, now: .now)
    let job = withProgress(job)
    for (asker, missed) in watchers.watchers(of: job, isAllowed: isAllowed) {
      let isSent = transmit(
        NamedReply(.event(job, missed: missed), id: asker.id), to: asker.address)
      watchers.note(isSent: isSent, to: asker.address)
    }
  }

  /// Tells the watchers how far a job is, but no more than ten times a second.
  func tellProgress(of id: JobID, now: ContinuousClock.Instant) {
    guard !watchers.isEmpty, watchers.mayTellProgress(of: id, now: now),
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

/// Who sent a request, and how its answer is to be named.
struct Asker {
  var client: Client
  var id: String?
  var address: ClientAddress { client.address }

  init(client: Client, id: String?) { (self.client, self.id) = (client, id) }

  /// Of somebody who is not known, and is told so.
  init(address: ClientAddress, id: String?) {
    self.init(
      client: Client(address: address, name: "", isOperator: false, isLocal: false), id: id)
  }
}

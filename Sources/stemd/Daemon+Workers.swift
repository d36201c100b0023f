import EditSettings
import Foundation
import JobQueue
import Logging
import Messaging

/// What workers say, and what they are told.
extension Daemon {
  func workerMessage(_ received: ReceivedMessage, onSocket socket: Int) {
    let now = ContinuousClock.now
    guard let name = String(validating: received.peer, as: UTF8.self),
      name.utf8.first.map({ $0 != 0 }) ?? false
    else {
      workerComplaints.log(
        .messageRefused,
        "a message on the worker socket comes from a connection without a worker's name, or from one that was replaced",
        to: logger, now: now)
      return
    }
    guard mayWork(name, received, onSocket: socket) else {
      workerComplaints.log(
        .keyRefused,
        received.key.map(isAllowed) ?? false
          ? "a worker elsewhere may not call itself \(displayName(name)): it is named after its key, or KEY/NAME, and not like one of this daemon's own"
          : "worker \(displayName(name)) speaks with a key that is not allowed any more",
        to: logger, now: now)
      return
    }
    let isKnown = workers[name]?.socket == socket
    let message: WorkerMessage
    let body: Data?
    do {
      (message, body) = try MessageCoding.message(WorkerMessage.self, from: received.frames)
    } catch {
      if isKnown, let job = workers[name]?.work?.assignment.job,
        MessageCoding.isOutcome(of: job, received.frames)
      {
        // It will say nothing more of the job.
        ended(name, job, Self.notUnderstood, now)
      }
      workerComplaints.log(
        .messageRefused, "a message of worker \(displayName(name)) is not understood: \(error)",
        to: logger, metadata: ["worker": "\(displayName(name))"], now: now)
      return
    }
    if case .ready(let pid, let threads, let spool) = message {
      return introduced(
        Worker(
          name: name, pid: pid, threads: threads, socket: socket, seesSpool: spool,
          key: received.key, lastHeard: now),
        now: now)
    }
    guard isKnown else {
      _ = send(.introduce, toName: name, onSocket: socket)
      return
    }
    workers[name]?.lastHeard = now
    take(message, body, from: name, now: now)
  }

  private func mayWork(_ name: String, _ received: ReceivedMessage, onSocket socket: Int) -> Bool {
    guard socket > 0 else { return true }
    guard !processes.has(name) else { return false }
    guard let key = received.key, key.role == .worker,
      isAllowed(key)
    else { return false }
    return name == key.name || name.hasPrefix(key.name + "/")
  }

  private func take(
    _ message: WorkerMessage, _ body: Data?, from name: String, now: ContinuousClock.Instant
  ) {
    switch message {
    case .ready: break
    case .leaving:
      guard let worker = workers[name] else { return }
      lose(worker, how: "was told to end", isOwnFault: false, loss: .ended)
    case .heartbeat(let job, let quiet):
      guard let worker = workers[name] else { return }
      _ = send(Self.heartbeat, to: worker)
      guard let work = worker.work else {
        // It was taken for dead, or its daemon died: the job is not its any more.
        if let job { _ = send(.cancel(job: job), to: worker) }
        return
      }
      workers[name]?.work?.quiet = work.assignment.job == job ? quiet ?? 0 : 0
      if work.cancelled != nil { _ = send(.cancel(job: work.assignment.job), to: worker) }
      guard work.assignment.job != job, now - work.given > WorkerTimes.assignment else { return }
      guard work.timesGiven < WorkerTimes.mostAssignments else {
        isUnfit(name, for: work.assignment.job, now)
        return ended(name, work.assignment.job, Self.notTaken, now)
      }
      workers[name]?.work?.timesGiven += 1
      // It got lost with a connection. The same again is no news to a worker that has it.
      workers[name]?.work?.given = now
      _ = send(.run(work.assignment), to: worker)
    case .progress(let job, let progress):
      guard holds(name, job, now) else { return }
      workers[name]?.work?.progress = progress
      tellProgress(of: job, now: now)
    case .checkpoint(let job, let progress, let files):
      guard holds(name, job, now) else { return }
      workers[name]?.work?.checkpoint = (progress, now)
      if progress.isBeyond(furthest[job]) {
        furthest[job] = progress
        workers[name]?.work?.hasProgressed = true
      }
      guard let files else { return }
      attempt("parts of an older checkpoint cannot be removed", job: job) {
        try spool.keepCheckpointFiles(Set(files), of: job)
      }
    case .log(let job, let level, let text):
      guard holds(name, job, now), let line = workers[name]?.work?.nextLogLine(text) else { return }
      logForJob(job, level, line, worker: displayName(name))
    case .done(let job, let figures):
      workers[name]?.unfitInRow = 0
      ended(
        name, job, isEdited(name) ? .done(figures.withoutNonsense) : Self.nothingDelivered, now)
    case .failed(let job, let error, let mayPass, let reason):
      if reason == .workerUnfit, holds(name, job, now) { isUnfit(name, for: job, now) }
      ended(
        name, job,
        failure(Worker.Work.shortened(error), mayPass: mayPass, reason), now)
    case .cancelled(let job):
      let exceeded = workers[name]?.work?.exceeded
      ended(name, job, exceeded.map { .failed($0) } ?? .cancelled, now)
    case .get(let job, let file, let offset):
      guard holds(name, job, now) else { return }
      give(file, from: offset, of: job, to: name)
    case .put(let job, let file, let offset, let bytes):
      guard holds(name, job, now) else { return }
      keep(body ?? Data(), at: offset, of: bytes, in: file, of: job, from: name)
    }
  }

  private func failure(_ error: String, mayPass: Bool, _ reason: FailureReason?) -> Outcome {
    guard mayPass else { return .failed(error) }
    if reason == .workerUnfit { return .unfit(error) }
    // The disk is full for everybody: nobody's attempt.
    if reason == .diskFull, !hasRoom(forQueue: false) { return .interrupted(error) }
    return .attemptFailed(error, sentence: { "\(error) (tried \($0) times)" })
  }

  private func introduced(_ worker: Worker, now: ContinuousClock.Instant) {
    let name = worker.name
    if let known = workers[name], known.pid != worker.pid || known.socket != worker.socket {
      lose(known, how: "was replaced by process \(worker.pid)", isOwnFault: false)
    }
    if isStopping {
      _ = send(.stop, to: worker)
      return
    }
    if workers[name] == nil {
      workers[name] = worker
      // It may be another one by now.
      for job in unfit.keys { unfit[job]?.remove(name) }
      mayDispatch = true
      logger.info(
        "worker ready as process \(worker.pid) with \(worker.threads) threads",
        metadata: ["worker": "\(displayName(name))"])
    }
    workers[name]?.lastHeard = now
    _ = send(Self.heartbeat, to: worker)
  }

  private func holds(_ name: String, _ job: JobID, _ now: ContinuousClock.Instant) -> Bool {
    if workers[name]?.work?.assignment.job == job { return true }
    workerComplaints.log(
      .messageRefused,
      "worker \(displayName(name)) speaks of job \(displayName(String(job.rawValue.prefix(40)))), which it does not have",
      to: logger, now: now)
    return false
  }

  /// Whether the worker's job has what a finished one must have.
  private func isEdited(_ name: String) -> Bool {
    guard let job = workers[name]?.work?.assignment.job else { return false }
    var status = stat()
    return lstat(spool.folders.resultPath(of: job) + "/edited.mp4", &status) == 0
      && status.st_mode & S_IFMT == S_IFREG && status.st_size > 0
  }

  private static var nothingDelivered: Outcome {
    .attemptFailed(
      "the worker said that it was done, but left no edited video",
      sentence: { "the worker said \($0) times that it was done, but left no edited video" })
  }

  private static var notUnderstood: Outcome {
    .attemptFailed(
      "what its worker says is not understood: do stemd and stem-worker have the same version?",
      sentence: {
        "what its workers say is not understood (tried \($0) times): do stemd and stem-worker have the same version?"
      })
  }

  private static var notTaken: Outcome { .unfit("it did not take it") }

  /// Lets others have the job; and all jobs for a while, where it is not this one alone.
  private func isUnfit(_ name: String, for job: JobID, _ now: ContinuousClock.Instant) {
    unfit[job, default: []].insert(name)
    workers[name]?.unfitInRow += 1
    if (workers[name]?.unfitInRow ?? 0) >= WorkerTimes.mostUnfit {
      workers[name]?.restsUntil = now + WorkerTimes.rest
    }
    mayDispatch = true
  }

  private func ended(
    _ name: String, _ job: JobID, _ outcome: Outcome, _ now: ContinuousClock.Instant
  ) {
    guard holds(name, job, now), let work = workers[name]?.work else { return }
    workers[name]?.work = nil
    leave(work)
    conclude(job, outcome, Attempt(work, now: now))
  }

  /// A worker has the job no more, however it ended.
  func leave(_ work: Worker.Work) {
    turns.ended(client: work.client)
    mayDispatch = true
  }

  // MARK: Sending

  private static let heartbeat =
    (try? MessageCoding.frames(DaemonMessage.heartbeat)) ?? [ProtocolVersion.frame]

  func send(_ message: DaemonMessage, body: Data? = nil, to worker: Worker) -> Bool {
    (try? MessageCoding.frames(message, body: body)).map { send($0, to: worker) } ?? false
  }

  func send(_ frames: [Data], to worker: Worker) -> Bool {
    send(frames, toName: worker.name, onSocket: worker.socket)
  }

  private func send(_ message: DaemonMessage, toName name: String, onSocket socket: Int) -> Bool {
    (try? MessageCoding.frames(message)).map { send($0, toName: name, onSocket: socket) } ?? false
  }

  private func send(_ frames: [Data], toName name: String, onSocket socket: Int) -> Bool {
    do {
      return try workerSockets[socket].send([Data(name.utf8)] + frames)
    } catch {
      logger.error(
        "a message to a worker cannot be sent: \(error)",
        metadata: ["worker": "\(displayName(name))"])
      return false
    }
  }

  func tellToCancel(_ name: String, because reason: String, _ now: ContinuousClock.Instant) {
    guard let worker = workers[name], let work = worker.work else { return }
    if work.cancelled == nil {
      logForJob(work.assignment.job, .notice, reason, worker: displayName(name))
      workers[name]?.work?.cancelled = now
    }
    _ = send(.cancel(job: work.assignment.job), to: worker)
  }
}

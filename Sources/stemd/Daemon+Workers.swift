import EditSettings
import Foundation
import JobQueue
import Logging
import Messaging

/// How a job's attempt ended.
enum Outcome {
  case done(EditFigures)
  /// At once for good: the input or the request is at fault.
  case failed(String)
  /// This attempt only; `sentence` is what is said if it was the last one.
  case attemptFailed(String, sentence: (Int) -> String)
  case cancelled
}

extension Daemon {
  // MARK: Messages

  func workerMessage(_ frames: [Data]) {
    let now = ContinuousClock.now
    guard frames.count == 2, let name = String(validating: frames[0], as: UTF8.self),
      name.utf8.first.map({ $0 != 0 }) ?? false
    else {
      workerComplaints.log(
        "a message on the worker socket is not two frames, a worker's name and a message; or it comes from a connection that was replaced",
        to: logger, now: now)
      return
    }
    let message: WorkerMessage
    do {
      message = try MessageCoding.decode(WorkerMessage.self, from: frames[1])
    } catch {
      workerComplaints.log(
        "a message of worker \(displayName(name)) is not understood: \(error)", to: logger, now: now
      )
      return
    }
    if case .ready(let pid, let threads) = message {
      return introduced(name, pid: pid, threads: threads, now: now)
    }
    guard workers[name] != nil else {
      _ = send(.introduce, toName: name)
      return
    }
    workers[name]?.lastHeard = now
    take(message, from: name, now: now)
  }

  private func take(_ message: WorkerMessage, from name: String, now: ContinuousClock.Instant) {
    switch message {
    case .ready: break
    case .heartbeat(let job):
      guard let worker = workers[name] else { return }
      _ = send(.heartbeat, to: worker)
      guard let work = worker.work else { return }
      if work.cancelled != nil { _ = send(.cancel(job: work.assignment.job), to: worker) }
      guard work.assignment.job != job, now - work.given > WorkerTimes.assignment else { return }
      // It got lost with a connection. The same again is no news to a worker that has it.
      workers[name]?.work?.given = now
      _ = send(.run(work.assignment), to: worker)
    case .progress(let job, let progress):
      guard holds(name, job, now) else { return }
      workers[name]?.work?.progress = progress
      tellProgress(of: job, now: now)
    case .log(let job, let level, let text):
      guard holds(name, job, now) else { return }
      logForJob(job, level, text, worker: displayName(name))
    case .done(let job, let figures):
      ended(name, job, isEdited(name) ? .done(figures) : Self.nothingDelivered, now)
    case .failed(let job, let error, let mayPass):
      ended(
        name, job,
        mayPass
          ? .attemptFailed(error, sentence: { "\(error) (tried \($0) times)" }) : .failed(error),
        now)
    case .cancelled(let job): ended(name, job, .cancelled, now)
    }
  }

  private func introduced(_ name: String, pid: pid_t, threads: Int, now: ContinuousClock.Instant) {
    if let known = workers[name], known.pid != pid {
      lose(known, how: "was replaced by process \(pid)")
    }
    if isStopping {
      _ = send(.stop, toName: name)
      return
    }
    if workers[name] == nil {
      workers[name] = Worker(name: name, pid: pid, threads: threads, lastHeard: now)
      logger.info(
        "worker ready as process \(pid) with \(threads) threads",
        metadata: ["worker": "\(displayName(name))"])
    }
    workers[name]?.lastHeard = now
    if let worker = workers[name] { _ = send(.heartbeat, to: worker) }
  }

  private func holds(_ name: String, _ job: JobID, _ now: ContinuousClock.Instant) -> Bool {
    if workers[name]?.work?.assignment.job == job { return true }
    workerComplaints.log(
      "worker \(displayName(name)) speaks of job \(displayName(job.rawValue)), which it does not have",
      to: logger, now: now)
    return false
  }

  /// Whether the worker's job has what a finished one must have.
  private func isEdited(_ name: String) -> Bool {
    guard let folder = workers[name]?.work?.assignment.resultFolder else { return false }
    var status = stat()
    return lstat(folder + "/edited.mp4", &status) == 0 && status.st_mode & S_IFMT == S_IFREG
      && status.st_size > 0
  }

  private static var nothingDelivered: Outcome {
    .attemptFailed(
      "the worker said that it was done, but left no edited video",
      sentence: { "the worker said \($0) times that it was done, but left no edited video" })
  }

  private func ended(
    _ name: String, _ job: JobID, _ outcome: Outcome, _ now: ContinuousClock.Instant
  ) {
    guard holds(name, job, now) else { return }
    workers[name]?.work = nil
    conclude(job, outcome)
  }

  func send(_ message: DaemonMessage, to worker: Worker) -> Bool {
    send(message, toName: worker.name)
  }

  private func send(_ message: DaemonMessage, toName name: String) -> Bool {
    (try? MessageCoding.encode(message)).map { send($0, toName: name) } ?? false
  }

  private func send(_ message: Data, toName name: String) -> Bool {
    do {
      return try workerSocket.send([Data(name.utf8), message])
    } catch {
      logger.error(
        "a message to a worker cannot be sent: \(error)",
        metadata: ["worker": "\(displayName(name))"])
      return false
    }
  }

  // MARK: Dispatch

  /// Gives the idle workers the jobs that were accepted first.
  func dispatch() {
    let now = ContinuousClock.now
    pauses = pauses.filter { $0.value > now }
    if let dispatchAt, now < dispatchAt { return }
    dispatchAt = nil
    var turns = 0
    do {
      for name in workers.keys.sorted() {
        while let worker = workers[name], worker.work == nil {
          guard
            let job = try spool.store.nextQueued(
              limit: 1, excluding: Set(pauses.keys).union(unrecorded.keys)
            ).first
          else {
            return
          }
          try give(job, to: worker, now: now)
          turns += 1
          if turns == Self.dispatchesInARow {
            dispatchAt = now
            return
          }
        }
      }
    } catch {
      logger.error("jobs cannot be dispatched: \(error)")
      dispatchAt = now + Self.retryPause
      retryLater()
    }
  }

  private func give(_ job: Job, to worker: Worker, now: ContinuousClock.Instant) throws {
    guard let settings = job.settings else {
      return conclude(job.id, .failed("its settings are missing: submit it again"))
    }
    let modelFolder: String
    do {
      modelFolder = try models.folder(named: settings.model)
    } catch {
      return conclude(job.id, .failed("\(error)"))
    }
    let running = try spool.store.start(job.id, worker: worker.name)
    do {
      try spool.prepareAttempt(of: job.id)
    } catch {
      return conclude(
        job.id, .attemptFailed("\(error)", sentence: { "\(error) (tried \($0) times)" }))
    }
    let assignment = Assignment(
      job: job.id, settings: settings, sourcePath: spool.folders.sourcePath(of: job),
      resultFolder: spool.folders.resultPath(of: job),
      modelFolder: modelFolder)
    logForJob(
      job.id, .info, "given to \(worker.name), attempt \(running.attempts)",
      worker: displayName(worker.name))
    let message: Data
    do {
      message = try MessageCoding.encode(DaemonMessage.run(assignment))
      guard message.count <= MessageSocket.largestFrame else {
        throw MessagingError("its settings take \(message.count) bytes: shorten the prompts")
      }
    } catch {
      return conclude(job.id, .failed("\(error)"))
    }
    guard send(message, toName: worker.name) else {
      // It is not there any more; its silence or its end will be noticed, and until then it gets
      // nothing.
      workers[worker.name] = nil
      _ = try spool.store.requeue(job.id, failed: false)
      logForJob(job.id, .warning, "\(worker.name) cannot be reached; the job is queued again")
      return
    }
    workers[worker.name]?.work = Worker.Work(assignment: assignment, given: now)
    tell(running)
  }

  // MARK: Outcomes

  /// Records how an attempt ended; what is final is delivered.
  func conclude(_ id: JobID, _ outcome: Outcome) {
    do {
      switch outcome {
      case .done(let figures): try finish(id, as: .done, figures: figures)
      case .failed(let error): try finish(id, as: .failed, error: error)
      case .cancelled: try finish(id, as: .cancelled)
      case .attemptFailed(let error, let sentence):
        if try spool.store.isCancelRequested(id) { return try finish(id, as: .cancelled) }
        let failures = try spool.store.failures(of: id) + 1
        if failures >= Self.mostFailures {
          return try finish(id, as: .failed, error: sentence(failures))
        }
        logForJob(id, .warning, "attempt failed: \(error); the job is queued again")
        let job = try spool.store.requeue(id, failed: true).job
        pauses[id] = ContinuousClock.now + (failures == 1 ? .seconds(1) : .seconds(10))
        tell(job)
      }
    } catch let error as JobStoreError {
      logger.error("\(error)", metadata: ["job": "\(id)"])
    } catch {
      logger.error("how the job ended cannot be recorded yet: \(error)", metadata: ["job": "\(id)"])
      unrecorded[id] = outcome
      retryLater()
    }
  }

  private func finish(
    _ id: JobID, as state: JobState, error: String? = nil, figures: EditFigures? = nil
  ) throws {
    if let error { logForJob(id, .error, "failed: \(error)") }
    _ = try spool.store.finish(id, as: state, error: error, figures: figures)
    deliver(id)
  }

  // MARK: Death

  func workerProcessEnded(_ ended: WorkerProcesses.Ended) {
    logger.warning(
      "worker process \(ended.pid) \(ended.how)", metadata: ["worker": "\(ended.name)"])
    if let worker = workers[ended.name], worker.pid == ended.pid { lose(worker, how: ended.how) }
  }

  /// Forgets a worker, and queues its job again.
  private func lose(_ worker: Worker, how: String) {
    workers[worker.name] = nil
    guard let job = worker.work?.assignment.job else { return }
    logForJob(job, .warning, "\(worker.name) died: it \(how)", worker: displayName(worker.name))
    conclude(
      job,
      .attemptFailed(
        "its worker died",
        sentence: { "its worker died \($0) times while it edited this clip; see job.log" }))
  }

  /// Ends a running job's attempt that nobody is at fault for.
  func takeBack(_ id: JobID) throws {
    if try spool.store.isCancelRequested(id) { return conclude(id, .cancelled) }
    tell(try spool.store.requeue(id, failed: false).job)
    logForJob(id, .notice, "the job is queued again")
  }

  /// Kills or forgets workers that are silent, or do not end what they were told to cancel.
  func loseFailing(now: ContinuousClock.Instant) {
    for worker in workers.values {
      let reason: String
      if now - worker.lastHeard > WorkerTimes.silence {
        reason = "was silent for \(Int(WorkerTimes.silence / .seconds(1))) s"
      } else if let cancelled = worker.work?.cancelled, now - cancelled > WorkerTimes.cancellation {
        reason = "did not cancel its job within \(Int(WorkerTimes.cancellation / .seconds(1))) s"
      } else {
        continue
      }
      let isOwn = processes.pid(of: worker.name) == worker.pid
      logger.warning(
        "worker \(reason), and is \(isOwn ? "killed" : "forgotten")",
        metadata: ["worker": "\(displayName(worker.name))"])
      if isOwn { processes.kill(worker.name) }
      lose(worker, how: reason)
    }
    for process in processes.startTimes()
    where now - process.started > WorkerTimes.introduction && workers[process.name] == nil {
      logger.warning(
        "worker process \(process.pid) does not answer, and is killed",
        metadata: ["worker": "\(process.name)"])
      processes.kill(process.name)
    }
  }
}

import Foundation
import JobQueue
import Journal
import Logging
import Messaging

extension Daemon {
  /// Gives the idle workers the jobs whose turn it is, some at a time, begun by one commit.
  func dispatch() {
    let now = ContinuousClock.now
    let waiting = pauses.count
    pauses = pauses.filter { $0.value > now }
    if pauses.count < waiting { mayDispatch = true }
    if let end = restsEnd, end <= now {
      restsEnd = nil
      mayDispatch = true
    }
    if let dispatchAt, now < dispatchAt { return }
    dispatchAt = nil
    guard mode == .running, mayDispatch, !isStopping else { return }
    let leaving = processes.leaving
    let free = workers.values.filter { $0.work == nil && !leaving.contains($0.name) }
      .sorted { $0.name < $1.name }
    var idle = free.filter { $0.restsUntil.map { $0 <= now } ?? true }
    restsEnd = free.compactMap(\.restsUntil).filter { $0 > now }.min()
    guard !idle.isEmpty else { return }
    guard hasRoom(forQueue: false) else {
      dispatchAt = now + .seconds(2)
      return
    }
    idle = Array(idle.prefix(Self.dispatchesInARow))
    do {
      let chosen = try chooseJobs(for: idle)
      // With fewer jobs than workers, the others wait for something to change.
      mayDispatch = chosen.count == idle.count
      guard !chosen.isEmpty else { return }
      let running = try spool.store.start(chosen.map { ($0.job.id, $0.worker.name) })
      counters.attempts += running.count
      for (choice, job) in zip(chosen, running) {
        turns.began(client: job.client)
        if !give(job, to: choice.worker, now: now) { turns.ended(client: job.client) }
      }
      if mayDispatch { dispatchAt = now }
    } catch {
      logger.error("jobs cannot be dispatched: \(error)")
      dispatchAt = now + Self.retryPause
      mayDispatch = true
      retryLater()
    }
  }

  private func chooseJobs(for idle: [Worker]) throws -> [(worker: Worker, job: Job)] {
    var excluded = Set(pauses.keys).union(unrecorded.keys)
    var turns = turns
    var chosen: [(worker: Worker, job: Job)] = []
    for worker in idle {
      let impossible = unfit.filter { $0.value.contains(worker.name) }.map(\.key)
      guard
        let job = try spool.store.nextQueued(by: turns, excluding: excluded.union(impossible))
      else { continue }
      excluded.insert(job.id)
      turns.began(client: job.client)
      chosen.append((worker, job))
    }
    return chosen
  }

  /// - Parameter job: running, as the store has it.
  /// - Returns: whether the worker has it.
  private func give(_ job: Job, to worker: Worker, now: ContinuousClock.Instant) -> Bool {
    func ended(_ outcome: Outcome) -> Bool {
      conclude(job.id, outcome)
      return false
    }
    guard var settings = job.settings else {
      return ended(.failed("its settings are missing: submit it again"))
    }
    settings.precision = settings.precision ?? configuration.precision
    let model = settings.model ?? models.defaultName
    let files: Assignment.Files
    let loras: [String: String]
    do {
      loras = try worker.seesSpool ? models.loras(named: settings.loras.keys) : [:]
    } catch { return ended(.failed("\(error)")) }
    do {
      let modelFolder = try worker.seesSpool ? models.path(named: settings.model) : ""
      do {
        try spool.prepareAttempt(of: job.id)
        files =
          try worker.seesSpool
          ? sharedFiles(of: job, modelFolder, loras: loras) : remoteFiles(of: job)
      } catch {
        return ended(.attemptFailed("\(error)", sentence: { "\(error) (tried \($0) times)" }))
      }
    } catch {
      // The sender's is the sender's affair; the default is the operator's.
      if settings.model == nil {
        logger.log(.modelMissing, "\(error)", metadata: fields(of: job))
      }
      return ended(.failed("\(error)"))
    }
    var assignment = Assignment(
      job: job.id, name: job.name, attempt: job.attempts, settings: settings, model: model,
      files: files)
    assignment.limits = .init(
      frames: configuration.limits.frames, framePixels: configuration.limits.framePixels,
      memoryBytes: configuration.limits.workerMemory)
    assignment.checkpointInterval = configuration.checkpointInterval
    assignment.video = configuration.video
    logForJob(
      job.id, .info, "given to \(worker.name), attempt \(job.attempts)",
      worker: displayName(worker.name))
    let frames: [Data]
    do {
      frames = try MessageCoding.frames(DaemonMessage.run(assignment))
      if let long = frames.first(where: { $0.count > configuration.limits.messageBytes }) {
        throw MessagingError("its settings take \(long.count) bytes: shorten the prompts")
      }
    } catch {
      return ended(.failed("\(error)"))
    }
    guard send(frames, to: worker) else {
      // It is not there any more; its silence or its end will be noticed, and until then it gets
      // nothing.
      workers[worker.name] = nil
      attempt("the job cannot be queued again", job: job.id) {
        _ = try spool.store.requeue(job.id, failed: false)
        mayDispatch = true
        logForJob(job.id, .warning, "\(worker.name) cannot be reached; the job is queued again")
      }
      return false
    }
    workers[worker.name]?.work = Worker.Work(
      assignment: assignment, client: job.client, began: now,
      ranBefore: (try? spool.store.ranSeconds(of: job.id)) ?? 0, given: now)
    tell(job)
    return true
  }

  private func sharedFiles(of job: Job, _ modelFolder: String, loras: [String: String])
    -> Assignment.Files
  {
    .shared(
      Assignment.SharedFiles(
        source: spool.folders.sourcePath(of: job),
        resultFolder: spool.folders.resultPath(of: job.id),
        checkpointFolder: spool.folders.checkpointFolder(job.id),
        cacheFolder: spool.folders.cachePath, cacheBytes: configuration.cacheBytes,
        modelFolder: modelFolder, loras: loras.isEmpty ? nil : loras))
  }
}

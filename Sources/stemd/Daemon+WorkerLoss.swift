import EditSettings
import Foundation
import JobQueue
import Journal
import Logging
import Messaging

/// What becomes of workers that die, fall silent or exceed a limit, and of their jobs.
extension Daemon {
  func workerProcessEnded(_ ended: WorkerProcesses.Ended) {
    log(
      ended.isExpected ? nil : .workerDied, ended.isExpected ? .info : .warning,
      "worker process \(ended.pid) \(ended.how)", fields(ofWorker: ended.name))
    if let worker = workers[ended.name], worker.pid == ended.pid {
      lose(worker, how: ended.how, isOwnFault: !ended.isKilledFromOutside)
    }
  }

  /// Forgets a worker, and queues its job again.
  /// - Parameters:
  ///   - isOwnFault: Not where somebody killed it: that says nothing about the job.
  ///   - loss: What became of it.
  func lose(
    _ worker: Worker, how: String, isOwnFault: Bool = true, loss: ServiceCounters.Loss = .died
  ) {
    let now = ContinuousClock.now
    workers[worker.name] = nil
    guard let work = worker.work else { return }
    leave(work)
    counters.count(isOwnFault ? loss : .ended)
    logForJob(
      work.assignment.job, .warning,
      "\(worker.name) \(loss.rawValue): it \(how); \(Self.loss(of: work, now: now))",
      worker: displayName(worker.name))
    let outcome: Outcome
    if let exceeded = work.exceeded {
      outcome = .failed(exceeded)
    } else if isOwnFault {
      outcome = .attemptFailed(
        "its worker \(loss.rawValue)",
        sentence: {
          "its worker \(loss.rawValue) \($0) times while it edited this clip; see job.log"
        })
    } else {
      outcome = .interrupted("its worker \(how)")
    }
    conclude(work.assignment.job, outcome, Attempt(work, now: now))
  }

  /// What the next attempt will do again.
  private static func loss(of work: Worker.Work, now: ContinuousClock.Instant) -> String {
    func place(_ progress: EditProgress) -> String {
      "\(progress.stage.rawValue) \(progress.step)/\(progress.steps)"
    }
    let last = work.progress.map(place) ?? "nothing"
    let since = work.checkpoint.map { now - $0.at } ?? (now - work.began)
    let seconds = String(format: "%.1f", since / .seconds(1))
    return work.checkpoint.map {
      "last progress \(last), checkpoint \(seconds) s ago at \(place($0.progress))"
    } ?? "last progress \(last), no checkpoint in the \(seconds) s of this attempt"
  }

  /// Kills or forgets workers that are silent, exceed a limit, or do not end what they were told to
  /// cancel.
  func loseFailing(now: ContinuousClock.Instant) {
    for worker in workers.values {
      holdToLimits(worker, now: now)
      let reason: String
      var loss = ServiceCounters.Loss.died
      if let key = worker.key, !isAllowed(key) {
        reason = "had its key revoked"
      } else if now - worker.lastHeard > WorkerTimes.silence {
        reason = "was silent for \(Int(WorkerTimes.silence / .seconds(1))) s"
      } else if let cancelled = worker.work?.cancelled, now - cancelled > WorkerTimes.cancellation {
        reason = "did not cancel its job within \(Int(WorkerTimes.cancellation / .seconds(1))) s"
      } else if let quiet = worker.work?.quiet, quiet > configuration.limits.stallTime {
        reason =
          "did not move on for \(durationText(seconds: quiet)), longer than the limit 'stall_time' allows"
        loss = .hung
      } else if let exceeded = workers[worker.name]?.work?.exceeded, worker.work?.cancelled == nil,
        workers[worker.name]?.work?.cancelled == nil
      {
        reason = exceeded
      } else {
        continue
      }
      guard let worker = workers[worker.name] else { continue }
      let isOwn = processes.pid(of: worker.name) == worker.pid
      logger.log(
        .workerHung, "worker \(reason), and is \(isOwn ? "killed" : "forgotten")",
        metadata: fields(ofWorker: worker.name))
      if isOwn {
        processes.kill(worker.name)
      } else if loss == .hung {
        // Its process can still exit; whoever started it may start it again.
        _ = send(.stop, to: worker)
      }
      // What becomes of a worker elsewhere is its network's or its operator's affair.
      lose(worker, how: reason, isOwnFault: isOwn || loss == .hung, loss: loss)
    }
    for process in processes.startTimes()
    where now - process.started > WorkerTimes.introduction && workers[process.name] == nil {
      logger.log(
        .workerHung, "worker process \(process.pid) does not answer, and is killed",
        metadata: ["worker": "\(process.name)"])
      processes.kill(process.name)
    }
  }

  private func holdToLimits(_ worker: Worker, now: ContinuousClock.Instant) {
    guard let work = worker.work, work.exceeded == nil else { return }
    if let limit = configuration.limits.runTime, work.ranBefore + work.ran(until: now) > limit {
      let sentence =
        "it ran for longer than the limit 'run_time' of \(durationText(seconds: limit)): choose fewer 'frames' or 'steps' or a smaller 'size', or ask the operator to raise the limit"
      workers[worker.name]?.work?.exceeded = sentence
      tellToCancel(worker.name, because: "to be ended: \(sentence)", now)
    }
    if let limit = configuration.limits.workerMemory,
      processes.pid(of: worker.name) == worker.pid,
      let bytes = MemoryUse.privateBytes(of: worker.pid), bytes > limit
    {
      workers[worker.name]?.work?.exceeded =
        "its worker took \(bytes >> 20) MiB, above the limit 'worker_memory' of \(limit >> 20) MiB: choose fewer 'frames' or a smaller 'size', or ask the operator to raise the limit"
    }
  }
}

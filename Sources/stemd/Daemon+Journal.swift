import Foundation
import JobQueue
import Journal
import Logging
import Messaging

/// What a line of the journal says besides its words, so that `journalctl JOB=…` or `CLIENT=…` finds
/// it.
extension Daemon {
  /// `JOB`, `CLIP`, `CLIENT`; `WORKER` and `STAGE` of one that is worked on.
  func fields(of job: Job) -> Logger.Metadata {
    var fields: Logger.Metadata = [
      "job": "\(job.id)", "clip": "\(displayName(job.sourceName))",
    ]
    if !job.client.isEmpty { fields["client"] = "\(displayName(job.client))" }
    if let work = job.worker.flatMap({ workers[$0]?.work }), work.assignment.job == job.id {
      fields["worker"] = job.worker.map { "\(displayName($0))" }
      fields["stage"] = work.progress.map { "\($0.stage.rawValue)" }
    }
    return fields
  }

  /// `WORKER`, and all of its job.
  func fields(ofWorker name: String) -> Logger.Metadata {
    let job = workers[name]?.work?.assignment.job
    var fields = job.map { self.fields(of: $0) } ?? [:]
    fields["worker"] = "\(displayName(name))"
    return fields
  }

  func fields(of id: JobID) -> Logger.Metadata {
    // Lines are few, and the store is at hand; where it is not, that is the next line's business.
    (try? spool.store.job(id)).map { fields(of: $0) } ?? ["job": "\(id)"]
  }

  /// A line for the journal and for the log that travels with the job.
  func logForJob(
    _ id: JobID, _ level: LogLevel, _ message: String, worker: String? = nil,
    event: JournalEvent? = nil
  ) {
    var fields = fields(of: id)
    if let worker { fields["worker"] = "\(worker)" }
    log(event, Logger.Level(level), displayLine(message), fields)
    do {
      try spool.log(message, level: level.rawValue, job: id)
    } catch {
      logger.warning("its log cannot be written: \(error)", metadata: fields)
    }
  }

  func log(
    _ event: JournalEvent?, _ level: Logger.Level, _ message: String, _ fields: Logger.Metadata
  ) {
    if let event {
      logger.log(event, level: level, "\(message)", metadata: fields)
    } else {
      logger.log(level: level, "\(message)", metadata: fields)
    }
  }
}

import EditSettings
import Foundation
import JobQueue
import Messaging

/// When the metrics are written next, and whether that worked.
struct MetricsState {
  var due = ContinuousClock.now
  var isBeingWritten = false
  var hasFailed = false
  /// The file that is there now, if any.
  var file: MetricsFile?
}

extension Daemon {
  func writeMetricsIfDue(now: ContinuousClock.Instant) {
    guard let path = configuration.metricsFile, now >= metrics.due, !metrics.isBeingWritten else {
      return
    }
    metrics.due = now + .seconds(configuration.metricsInterval)
    let text: String
    do { text = try metricsText() } catch {
      logger.warning("the metrics cannot be collected: \(error)")
      return
    }
    let file = MetricsFile(path: path)
    metrics.isBeingWritten = true
    // Its disk may be slow, or a server's.
    background.run(.sync) {
      try file.write(text)
    } end: { [unowned self] failure in
      metrics.isBeingWritten = false
      if let failure {
        if !metrics.hasFailed { logger.warning("\(failure); it is tried again and again") }
      } else {
        if metrics.hasFailed { logger.notice("the metrics are written again") }
        // Meanwhile another one may have been chosen.
        if configuration.metricsFile == path { metrics.file = file } else { file.remove() }
      }
      metrics.hasFailed = failure != nil
    }
  }

  /// Another file, or none, is chosen now.
  func metricsFileChanged() {
    removeMetrics()
    metrics.hasFailed = false
  }

  /// To be called last: a file that is just being written would come after its removal.
  func endMetrics() throws {
    let end = ContinuousClock.now + .seconds(1)
    while metrics.isBeingWritten, .now < end {
      _ = try Poller.wait(for: [.descriptor(background.descriptor)], milliseconds: 100)
      background.finish()
    }
    removeMetrics()
  }

  private func removeMetrics() {
    metrics.file?.remove()
    metrics.file = nil
  }

  /// - Throws: where the store fails.
  func metricsText(now: Date = Date()) throws -> String {
    var text = PrometheusText()
    text.add(
      "stemd_info", .gauge, "The version that runs.", by: "version", [(Stemd.version, 1)])
    text.add(
      "stemd_start_time_seconds", .gauge, "When stemd started, in seconds since 1970.",
      started.timeIntervalSince1970.rounded())
    text.add(
      "stemd_mode", .gauge, "1 for the mode that stemd is in.", by: "mode",
      ([.running, .paused, .draining] as [DaemonMode]).map { ($0.rawValue, $0 == mode ? 1 : 0) })
    text.add(
      "stemd_held_back", .gauge, "1 while the disk or the queue has no room for new work.",
      holdsBack == nil ? 0 : 1)
    addJobs(to: &text, try spool.store.countsByState(), oldest: try spool.store.oldestQueued, now)
    addWorkers(to: &text)
    text.add("stemd_uploads", .gauge, "Uploads that are open.", Double(uploads.count))
    text.add(
      "stemd_events_missed_total", .counter, "Events that slow watchers did not get.",
      Double(watchers.eventsMissed))
    text.add(
      "stemd_connections_refused_total", .counter,
      "Connections refused for the limit 'connections'.", Double(ConnectionCeiling.refused))
    return text.text
  }

  private func addJobs(
    to text: inout PrometheusText, _ counts: [JobState: Int], oldest: Date?, _ now: Date
  ) {
    text.add(
      "stemd_jobs", .gauge, "Jobs by state, since the store was made.", by: "state",
      JobState.allCases.map { ($0.rawValue, Double(counts[$0] ?? 0)) })
    text.add(
      "stemd_queue_oldest_seconds", .gauge,
      "For how long the oldest queued job has waited; 0 where none waits.",
      // A clock that was set back makes nobody wait a negative time.
      oldest.map { max(0, now.timeIntervalSince($0)) } ?? 0)
    text.add(
      "stemd_jobs_finished_total", .counter, "Jobs that reached their end.", by: "state",
      JobState.allCases.filter(\.isFinal).map { ($0.rawValue, Double(counters.finished[$0] ?? 0)) })
    text.add(
      "stemd_jobs_quarantined_total", .counter,
      "Jobs that failed after several attempts, for reasons that might have passed.",
      Double(counters.quarantined))
    text.add(
      "stemd_attempts_total", .counter, "Attempts that workers were given.",
      Double(counters.attempts))
    text.add(
      "stemd_stage_seconds_total", .counter, "What the stages of the done jobs took.", by: "stage",
      EditProgress.Stage.allCases.map { ($0.rawValue, counters.seconds[$0] ?? 0) })
    text.add(
      "stemd_inversion_cache_hits_total", .counter,
      "Done jobs that found their inversion in the cache.", Double(counters.inversionsReused))
    text.add(
      "stemd_inversion_cache_misses_total", .counter,
      "Done jobs that had to make their inversion.", Double(counters.inversionsMade))
  }

  private func addWorkers(to text: inout PrometheusText) {
    let busy = workers.values.filter { $0.work != nil }.count
    text.add(
      "stemd_workers", .gauge, "Workers that are connected, on this machine and others.",
      by: "state", [("busy", Double(busy)), ("idle", Double(workers.count - busy))])
    text.add(
      "stemd_workers_configured", .gauge, "Workers that stemd is to keep itself.",
      Double(configuration.workers))
    text.add(
      "stemd_workers_lost_total", .counter, "Workers that were lost while they had a job.",
      by: "reason",
      ServiceCounters.Loss.allCases.map { ($0.rawValue, Double(counters.losses[$0] ?? 0)) })
  }
}

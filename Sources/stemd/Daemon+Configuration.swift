import Foundation
import JobQueue
import Journal
import Logging
import ServiceConfiguration

/// The settings in force, and what becomes of them when the files are read again.
extension Daemon {
  /// For operators.
  var configurationValues: [ConfigurationValue] {
    resolved.list(
      meanings: ["threads": "\(processes.threads)", "models": displayName(models.path)],
      waiting: lastRead)
  }

  /// Reads all settings anew: what may change while this runs, does; with a mistake anywhere, nothing
  /// does.
  func reload() {
    serviceManager.beginReload()
    defer { serviceManager.ready() }
    let read: ResolvedConfiguration
    do {
      read = try sources.load()
    } catch {
      logger.log(.settingsKept, "the settings stay as they were: \(error)")
      return
    }
    for warning in read.warnings { logger.warning("\(warning)") }
    let changes = resolved.reload(from: read)
    lastRead = read
    for change in changes {
      logger.log(
        change.needsRestart ? .settingsKept : .settingsChanged, level: .notice,
        change.needsRestart
          ? "needs a restart: '\(change.key)' stays \(displayLine(change.before)), and will be \(displayLine(change.after)) (\(change.origin))"
          : "changed: '\(change.key)' is \(displayLine(change.after)), and was \(displayLine(change.before)) (\(change.origin))"
      )
    }
    if changes.isEmpty { logger.notice("the settings were read again: nothing has changed") }
    apply(Set(changes.filter { !$0.needsRestart }.map(\.key)))
  }

  /// Brings to whoever keeps a setting for itself what has changed; the others ask `configuration`.
  private func apply(_ changed: Set<String>) {
    spool.limits = configuration.limits.spool
    models = ModelFolders(configuration)
    processes.set(
      count: configuration.workers, threads: configuration.threadsOfWorker, now: .now)
    if changed.contains("inbox_poll") { inbox?.set(configuration.polling) }
    if changed.contains("limits.connections") {
      connectionLimit?.set(configuration.limits.connections)
    }
    if changed.contains("metrics_file") { metricsFileChanged() }
    if changed.contains("metrics_interval") { metrics.due = .now }
    if !changed.isDisjoint(with: ["models", "default_model", "submit_folders"]) {
      warnOfMissingFolders()
    }
    mayDispatch = true
  }

  /// Lets those of its own workers go that are too many, or compute with another number of threads
  /// than they should; each when it has no job.
  func letWorkersGo() {
    for name in processes.leaving {
      guard let worker = workers[name], worker.work == nil, worker.pid == processes.pid(of: name)
      else { continue }
      logger.info(
        "worker is ended, because 'workers' or 'threads' has changed",
        metadata: ["worker": "\(name)"])
      _ = send(.stop, to: worker)
      processes.letGo(name)
      workers[name] = nil
    }
  }
}

extension Configuration {
  var threadsOfWorker: Int {
    threads ?? max(1, ProcessInfo.processInfo.activeProcessorCount / max(1, workers))
  }
}

extension ModelFolders {
  init(_ configuration: Configuration) {
    self.init(
      path: configuration.models ?? Self.defaultPath(), defaultName: configuration.defaultModel)
  }
}

import Foundation

/// One thing that was put right at start-up.
public struct SpoolRepair: Sendable, Equatable {
  public var job: JobID?
  /// One sentence.
  public var message: String
}

extension Spool {
  /// Makes folders and store agree after a crash at any instruction: claims are completed or
  /// undone, running jobs are queued again, deliveries are completed, and what is left over in the
  /// work folder is removed or, if it is somebody's input, put back into the inbox. Call it once,
  /// before anything else, when no worker runs.
  /// - Returns: what it put right, for the journal.
  public func reconcile(now: Date = Date()) throws -> [SpoolRepair] {
    var repairs: [SpoolRepair] = []
    do {
      try completeIntake(&repairs)
    } catch {
      repairs.append(SpoolRepair(job: nil, message: "the work folder is not in order: \(error)"))
    }
    for record in try store.records(inState: JobState.running.rawValue) {
      repairs += problem(record) {
        if record.cancelRequested {
          _ = try store.finish(record.jobID, as: .cancelled, now: now)
          return
        }
        // The daemon opens no video: its end says nothing about the job, and does not count.
        _ = try store.requeue(record.jobID, failed: false)
        try? log(
          "the daemon stopped while it ran; it is queued again", level: "warning",
          job: record.jobID)
      }
      if try store.record(record.jobID)?.state == JobState.queued.rawValue {
        repairs.append(
          SpoolRepair(
            job: record.jobID, message: "it ran when the daemon stopped, and is queued again"))
      }
    }
    for record in try store.records(inState: JobState.queued.rawValue) {
      var recovered: [SpoolRepair] = []
      repairs += problem(record) { try recoverSource(of: record, now: now, &recovered) }
      repairs += recovered
    }
    let interrupted = try store.records(inState: JobRecord.claiming)
    var (jobs, problems): ([Job], [String]) = ([], [])
    do {
      (jobs, problems) = try resumeClaims()
    } catch {
      problems = ["claims cannot be completed yet: \(error)"]
    }
    for record in interrupted {
      let isCompleted = jobs.contains { $0.id == record.jobID }
      let what =
        isCompleted
        ? "its claim was cut off, and is completed" : "its claim was cut off, and is undone"
      repairs.append(SpoolRepair(job: record.jobID, message: what))
    }
    repairs += problems.map { SpoolRepair(job: nil, message: $0) }
    for job in try store.undelivered() {
      do {
        let delivered = try deliver(job.id, again: true)
        repairs.append(
          SpoolRepair(
            job: job.id,
            message:
              "its delivery was outstanding, and is completed: \(displayName(delivered.outboxName ?? ""))"
          ))
      } catch {
        repairs.append(
          SpoolRepair(
            job: job.id, message: "its delivery is outstanding, and failed again: \(error)"))
      }
    }
    do {
      try removeLeftovers(&repairs)
    } catch {
      repairs.append(SpoolRepair(job: nil, message: "leftovers cannot be removed yet: \(error)"))
    }
    try? Outbox(folder: folders.outboxPath).removeAside()
    return repairs
  }

  /// What cannot be put right now must not keep the daemon from what can: it is tried again later.
  private func problem(_ record: JobRecord, _ repair: () throws -> Void) -> [SpoolRepair] {
    do {
      try repair()
      return []
    } catch {
      return [SpoolRepair(job: record.jobID, message: "it cannot be put right yet: \(error)")]
    }
  }

  /// A queued job has its clip, unless the power failed before the disk had the rename, or somebody
  /// cleared the work folder.
  private func recoverSource(of record: JobRecord, now: Date, _ repairs: inout [SpoolRepair]) throws
  {
    let sidecar = try sidecarPath(of: record).map { try FileSystem.status($0) != nil } ?? true
    if sidecar, try FileSystem.status(sourcePath(of: record)) != nil { return }
    let inInbox =
      try FileSystem.status(folders.inboxPath + "/" + record.inboxName).map(record.isClip) ?? false
    let elsewhere = try sourcePath(among: store.records(ofClip: record.clip)) != nil
    var record = record
    if inInbox || elsewhere, sidecar || record.settings != nil {
      record.state = JobRecord.claiming
      if !sidecar, try !sidecarIsInInbox(record) {
        (record.sidecarName, record.sidecarIdentity) = (nil, nil)
      }
      try store.update([record])
    } else {
      try FileSystem.makeFolder(folders.workFolder(record.jobID))
      try FileSystem.makeFolder(folders.resultFolder(record.jobID))
      _ = try store.finish(
        record.jobID, as: .failed,
        error: "its clip is no longer in the work folder: submit it again", now: now)
      repairs.append(
        SpoolRepair(
          job: record.jobID, message: "its clip is no longer in the work folder; it failed"))
    }
  }

  private func sidecarIsInInbox(_ record: JobRecord) throws -> Bool {
    guard let name = record.sidecarName,
      let status = try FileSystem.status(folders.inboxPath + "/" + name)
    else { return false }
    return record.isSidecar(status)
  }

  private func removeLeftovers(_ repairs: inout [SpoolRepair]) throws {
    for name in try FileSystem.names(in: folders.workPath).compactMap({
      String(validating: $0, as: UTF8.self)
    }).sorted() {
      let id = JobID(rawValue: name)
      if let record = try store.record(id) {
        guard record.outboxName != nil else { continue }
        try FileSystem.removeAll(folders.workFolder(id))
        continue
      }
      do {
        guard let what = try removeUnknown(id) else { continue }
        repairs.append(
          SpoolRepair(
            job: id, message: "the store does not know this job; its work folder is \(what)"))
      } catch {
        repairs.append(
          SpoolRepair(
            job: id, message: "the store does not know this job; its work folder stays: \(error)"))
      }
    }
  }

  private func removeUnknown(_ id: JobID) throws -> String? {
    let folder = folders.workFolder(id)
    guard try FileSystem.status(folder)?.isFolder == true else { return nil }
    var returned: [String] = []
    for place in [folder, folder + "/result"] where try FileSystem.status(place)?.isFolder == true {
      for file in try Outbox.regularFiles(in: place) {
        let role = DroppedName(file).stem
        guard role == "source" || role == "sidecar", !DroppedName.isTemporary(file) else {
          continue
        }
        let target = JobRecord.fileName("recovered-\(id)", extensionOf: file)
        try FileSystem.moveFile(place + "/" + file, to: folders.inboxPath + "/" + target)
        returned.append(displayName(target))
      }
    }
    try FileSystem.removeAll(folder)
    return returned.isEmpty
      ? "removed" : "put back into the inbox as " + returned.joined(separator: ", ")
  }
}

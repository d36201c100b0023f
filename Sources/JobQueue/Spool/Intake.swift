import EditSettings
import Foundation
import Glibc

/// Making jobs of clients' requests. A job's files are prepared under a name of their own and synced;
/// one commit makes jobs of all of them; then the folders get their final names. A crash before the
/// commit leaves folders without a record, which `reconcile` removes (nobody was told of them); one
/// after it leaves folders to rename.
extension Spool {
  static let preparedPrefix = ".new-"
  /// More jobs than these share one synchronisation of the whole disk.
  private static let mostSyncedOneByOne = 2

  /// Outcomes in the order of the requests. When it returns, the jobs are on the disk.
  public func submit(_ submissions: [Submission], now: Date = Date()) -> [SubmissionOutcome] {
    var outcomes = [SubmissionOutcome?](repeating: nil, count: submissions.count)
    var prepared: [(index: Int, record: JobRecord)] = []
    var staged: [(index: Int, record: JobRecord)] = []
    var indexByKey: [ClientKey: Int] = [:]
    var repeated: [(index: Int, first: Int)] = []
    for (index, submission) in submissions.enumerated() {
      do {
        if let key = ClientKey(submission) {
          if let job = try knownJob(
            client: key.client, key: key.key, retryOf: submission.retryOf)
          {
            outcomes[index] = .accepted(job, known: true)
            continue
          }
          if let first = indexByKey.updateValue(index, forKey: key) {
            indexByKey[key] = first
            repeated.append((index, first))
            continue
          }
        }
        try check(submission)
        try checkRoom(for: prepared.count + staged.count)
        let record = try newRecord(of: submission, now: now)
        if case .staged = submission.clip {
          staged.append((index, record))
        } else {
          try prepare(record, submission)
          prepared.append((index, record))
        }
      } catch {
        outcomes[index] = .refused(Refusal(error))
      }
    }
    accept(prepared, &outcomes)
    acceptStaged(staged, &outcomes)
    for (index, first) in repeated {
      if case .accepted(let job, _)? = outcomes[first] {
        outcomes[index] = .accepted(job, known: true)
      } else {
        outcomes[index] = outcomes[first]
      }
    }
    return outcomes.map { $0 ?? .refused(Refusal(.unavailable, "the request was lost: repeat it")) }
  }

  /// Makes a new job of one that failed or was cancelled: the same clip, settings and client.
  /// - Throws: `Refusal`, or the store's error.
  public func retrySubmission(of id: JobID, key: String?, priority: Int?) throws -> Submission {
    guard let record = try store.record(id), let job = record.job else {
      throw Refusal(.notFound, "there is no job '\(displayName(String(id.rawValue.prefix(40))))'")
    }
    guard job.state == .failed || job.state == .cancelled else {
      throw Refusal(
        .state,
        "job \(id) is \(job.state.rawValue): only one that failed or was cancelled is repeated")
    }
    guard let settings = job.settings else {
      throw Refusal(
        .state, "the settings of job \(id) were never understood: submit the clip with better ones")
    }
    guard let clip = try sourcePath(among: [record] + store.records(ofClip: record.clip)) else {
      throw Refusal(
        .notFound,
        "the clip of job \(id) is neither in the work folder nor in the outbox any more: submit it again"
      )
    }
    return Submission(
      name: job.sourceName, settings: settings, client: job.client, key: key,
      priority: priority ?? job.priority, retryOf: id, clip: .linked(clip))
  }

  // MARK: Checks

  private struct ClientKey: Hashable {
    var client, key: String
    init?(_ submission: Submission) {
      guard let key = submission.key else { return nil }
      (client, self.key) = (submission.client, key)
    }
  }

  /// What an earlier request of the client made under the same key.
  /// - Parameter retryOf: what the request at hand is to repeat: another job is no answer to that.
  /// - Throws: `Refusal`
  public func knownJob(client: String, key: String, retryOf: JobID? = nil) throws -> Job? {
    guard let known = try store.record(client: client, key: key) else { return nil }
    guard retryOf == nil || known.retryOf == retryOf?.rawValue else {
      throw Refusal(
        .state,
        "the key '\(displayName(key))' is that of job \(known.id), which repeats another one or none: choose another key"
      )
    }
    guard let job = known.job else {
      throw Refusal(
        .unavailable,
        "'\(displayName(known.sourceName))' is kept and queued as job \(known.id) by itself once the disk allows it: ask again later"
      )
    }
    return job
  }

  /// What is wrong with a request, whatever its clip will be.
  /// - Throws: `Refusal`, `SidecarError`
  public func checkRequest(_ submission: Submission) throws {
    guard FileSystem.isPlainName(submission.name), !DroppedName.isTemporary(submission.name) else {
      throw Refusal(
        .malformed,
        "'\(displayName(submission.name))' cannot name a clip: give a plain file name that is no temporary one"
      )
    }
    guard !DroppedName(submission.name).isSidecar else {
      throw Refusal(
        .malformed, "'\(displayName(submission.name))' is a sidecar's name: give the clip's")
    }
    if let key = submission.key, !(1...128).contains(key.utf8.count) {
      throw Refusal(.malformed, "a key has 1 to 128 bytes, not \(key.utf8.count)")
    }
    try SettingsLimits.check(submission.settings)
    try SettingsLimits.check(priority: submission.priority)
  }

  private func check(_ submission: Submission) throws {
    try checkRequest(submission)
    switch submission.clip {
    case .bytes(let data):
      guard !data.isEmpty else { throw Refusal(.malformed, "the clip is empty") }
      try limits.checkSize(Int64(data.count))
      try checkSpace(for: Int64(data.count))
    case .upload, .linked: try checkSpace()
    case .staged(let name):
      guard FileSystem.isPlainName(name), DroppedName.isTemporary(name) else {
        throw Refusal(
          .malformed,
          "the staged name '\(displayName(name))' is no plain temporary name: start it with a dot or end it in .part, without any slash"
        )
      }
      try checkSpace()
    }
  }

  // MARK: Records

  private func newRecord(of submission: Submission, now: Date) throws -> JobRecord {
    var (identity, inboxName, state) = ("", "", JobState.queued.rawValue)
    if case .staged(let name) = submission.clip {
      guard let status = try FileSystem.status(folders.inboxPath + "/" + name) else {
        throw Refusal(
          .notFound,
          "there is no file '\(displayName(name))' in the inbox: put the clip there first")
      }
      guard status.isRegular else {
        throw Refusal(.malformed, "'\(displayName(name))' is \(status.kind), not a file")
      }
      try limits.checkSize(status.size)
      (identity, inboxName, state) = (status.identity, name, JobRecord.claiming)
    }
    let id = idGenerator.next(now: now).rawValue
    // No stem: what lies in the inbox by chance under this name is not meant for the clip of a
    // client.
    var record = JobRecord(
      id: id, clip: id, clipStem: "", name: DroppedName(submission.name).stem,
      sourceName: submission.name, inboxName: inboxName, sidecarName: nil, state: state,
      client: submission.client, key: submission.key, priority: submission.priority,
      submitted: now.toMilliseconds, clipIdentity: identity)
    record.editSettings = submission.settings
    record.retryOf = submission.retryOf?.rawValue
    return record
  }

  private func preparedFolder(_ id: JobID) -> String {
    folders.workPath + "/" + Self.preparedPrefix + id.rawValue
  }

  private func prepare(_ record: JobRecord, _ submission: Submission) throws {
    let folder = preparedFolder(record.jobID)
    let clip = folder + "/" + record.sourceFile
    do {
      try FileSystem.makeFolder(folder)
      try FileSystem.makeFolder(folder + "/result")
      switch submission.clip {
      case .bytes(let data): try FileSystem.write(data, toNew: clip)
      case .upload(let upload): try FileSystem.move(upload.path, to: clip)
      case .linked(let path): try FileSystem.linkOrCopy(path, to: clip)
      case .staged: preconditionFailure("a staged clip is claimed")
      }
      let what = submission.retryOf.map { "accepted again, after job \($0)," } ?? "accepted"
      try JobLog.append(
        "\(what) \(record.sourceName) of \(record.client) as job \(record.id)",
        toResultFolder: folder + "/result")
    } catch {
      try? FileSystem.removeAll(folder)
      throw error
    }
  }

  // MARK: Acceptance

  private func accept(
    _ prepared: [(index: Int, record: JobRecord)], _ outcomes: inout [SubmissionOutcome?]
  ) {
    guard !prepared.isEmpty else { return }
    do {
      if prepared.count > Self.mostSyncedOneByOne {
        try FileSystem.syncFileSystem(of: folders.workPath)
      } else {
        for (_, record) in prepared {
          let folder = preparedFolder(record.jobID)
          try FileSystem.sync(folder + "/" + record.sourceFile)
          try FileSystem.syncFolder(folder)
        }
        try FileSystem.syncFolder(folders.workPath)
      }
      try store.insert(prepared.map(\.record))
    } catch {
      // A commit that failed may yet be found in the store after a crash; its clips stay until the
      // next one has overwritten it.
      let folders = prepared.map { preparedFolder($0.record.jobID) }
      if JobStore.isFailedCommit(error) {
        refusedFolders += folders
      } else {
        for folder in folders { try? FileSystem.removeAll(folder) }
      }
      for (index, _) in prepared { outcomes[index] = .refused(Refusal(error)) }
      return
    }
    for (index, record) in prepared {
      // Where this fails, the job's first attempt does it, or the next start.
      try? nameFolder(of: record.jobID)
      outcomes[index] = record.job.map { .accepted($0, known: false) }
    }
  }

  private func acceptStaged(
    _ staged: [(index: Int, record: JobRecord)], _ outcomes: inout [SubmissionOutcome?]
  ) {
    guard !staged.isEmpty else { return }
    do {
      try store.insert(staged.map(\.record))
    } catch {
      for (index, _) in staged { outcomes[index] = .refused(Refusal(error)) }
      return
    }
    do {
      let results = try completeClaims(staged.map(\.record))
      for (index, record) in staged {
        if let job = results[record.clip]?.jobs.first {
          outcomes[index] = .accepted(job, known: false)
        } else {
          outcomes[index] = .refused(
            Refusal(
              .state,
              results[record.clip]?.problem
                ?? "the clip vanished from the inbox: put it there again"))
        }
      }
    } catch {
      for (index, record) in staged {
        outcomes[index] = .refused(
          Refusal(
            .unavailable,
            "'\(displayName(record.sourceName))' is kept and queued as job \(record.id) by itself once this is over, so do not submit it again: \(error)"
          ))
      }
    }
  }

  /// Gives an accepted job's folder its name, where it does not have it yet.
  func nameFolder(of id: JobID) throws {
    let prepared = preparedFolder(id)
    if try FileSystem.status(prepared) != nil {
      try FileSystem.move(prepared, to: folders.workFolder(id))
    }
  }

  /// Removes what was kept of requests whose commit failed, once another one has not.
  /// - Throws: where that one fails, too.
  public func removeRefused() throws {
    guard !refusedFolders.isEmpty else { return }
    try store.set(mode: store.mode)
    for folder in refusedFolders { try FileSystem.removeAll(folder) }
    refusedFolders = []
  }

  // MARK: After a crash

  /// Gives accepted jobs' folders their names, and removes what nobody was told of.
  func completeIntake(_ repairs: inout [SpoolRepair]) throws {
    for name in try FileSystem.names(in: folders.workPath).compactMap({
      String(validating: $0, as: UTF8.self)
    }) {
      let path = folders.workPath + "/" + name
      if name.hasPrefix(ClipUpload.prefix) {
        try FileSystem.removeAll(path)
        repairs.append(SpoolRepair(job: nil, message: "an upload that was cut off is removed"))
      } else if name.hasPrefix(Self.preparedPrefix) {
        let id = JobID(rawValue: String(name.dropFirst(Self.preparedPrefix.count)))
        if let record = try store.record(id) {
          if try FileSystem.status(folders.workFolder(id)) == nil, record.outboxName == nil {
            try FileSystem.move(path, to: folders.workFolder(id))
          } else if try sourcePath(among: [record]) != nil {
            try FileSystem.removeAll(path)
          }
        } else {
          try FileSystem.removeAll(path)
          repairs.append(
            SpoolRepair(job: id, message: "it was never accepted, and what came of it is removed"))
        }
      }
    }
  }
}

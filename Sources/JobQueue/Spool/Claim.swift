import EditSettings
import Foundation
import Glibc

/// What became of one clip that was ready.
public struct ClaimOutcome: Sendable {
  public var clip: ReadyClip
  /// The jobs made of it: queued, or failed where the sidecar has an error (these are to be
  /// delivered).
  public var jobs: [Job]
  /// Why it could not be claimed, all or in part; it lies in the inbox as before.
  public var problem: String?
}

/// Taking files out of the inbox. The record comes first, as a row in state `claiming`; then the
/// renames; then the row becomes a queued job. The same code that completes a claim in its first
/// run completes it after a crash.
extension Spool {
  /// Makes a job of each sidecar of each clip.
  /// - Throws: where the store fails; nothing is lost then, and `reconcile` or `resumeClaims` goes
  ///   on.
  public func claim(_ clips: [ReadyClip], now: Date = Date()) throws -> [ClaimOutcome] {
    var outcomes: [ClaimOutcome] = []
    var records: [JobRecord] = []
    var groups: [(outcome: Int, clip: String)] = []
    for ready in clips {
      outcomes.append(ClaimOutcome(clip: ready, jobs: [], problem: nil))
      do {
        let group = try newRecords(for: ready, now: now)
        if let first = group.first { groups.append((outcomes.count - 1, first.clip)) }
        records += group
      } catch {
        outcomes[outcomes.count - 1].problem = "\(error)"
      }
    }
    try store.insert(records)
    let results = try completeClaims(records)
    for (outcome, clip) in groups {
      outcomes[outcome].jobs = results[clip]?.jobs ?? []
      outcomes[outcome].problem = results[clip]?.problem
    }
    return outcomes
  }

  /// Makes a further job of a clip that was claimed before, for a sidecar that came after it.
  /// - Parameter hasWaited: it has been alone for a minute. Before that it joins only a clip with
  ///   unfinished jobs, for the clip that it is meant for may be on its way.
  /// - Returns: `nil` where there is no such clip, or it had a sidecar of this name, whatever its
  ///   type: then it waits for a new clip.
  public func joinEarlierClip(
    sidecar: String, hasWaited: Bool = false, now: Date = Date()
  ) throws -> Job? {
    let dropped = DroppedName(sidecar)
    let stems = [dropped.stem, dropped.furtherEditOf].compactMap {
      $0?.precomposedStringWithCanonicalMapping
    }
    guard
      let earlier = try stems.lazy.compactMap({ try self.store.newestRecord(clipStem: $0) }).first,
      let status = try FileSystem.status(folders.inboxPath + "/" + sidecar), status.isRegular
    else { return nil }
    let siblings = try store.records(ofClip: earlier.clip)
    guard
      !siblings.contains(where: {
        $0.sidecarName.map { Array(DroppedName($0).stem.utf8) } == Array(dropped.stem.utf8)
      }),
      hasWaited || siblings.contains(where: { JobState(rawValue: $0.state)?.isFinal != true }),
      try sourcePath(among: siblings) != nil
    else { return nil }
    var record = JobRecord(
      id: idGenerator.next(now: now).rawValue, clip: earlier.clip, clipStem: earlier.clipStem,
      name: dropped.stem,
      sourceName: earlier.sourceName, inboxName: earlier.inboxName, sidecarName: sidecar,
      state: JobRecord.claiming, client: ClientName.user(status.owner),
      submitted: now.toMilliseconds, clipIdentity: earlier.clipIdentity)
    record.sidecarIdentity = status.identity
    try store.insert([record])
    let result = try completeClaims([record])[record.clip]
    if let problem = result?.problem { throw SpoolError(problem) }
    return result?.jobs.first
  }

  /// Goes on with claims that were cut off or failed, say because the disk was full.
  /// - Returns: the jobs that came of them, and sentences on what could not be done.
  public func resumeClaims() throws -> (jobs: [Job], problems: [String]) {
    hasUnfinishedClaims = false
    let results = try completeClaims(store.records(inState: JobRecord.claiming))
    return (
      results.values.flatMap(\.jobs).sorted { $0.id.rawValue < $1.id.rawValue },
      results.values.compactMap(\.problem).sorted()
    )
  }

  private func newRecords(for ready: ReadyClip, now: Date) throws -> [JobRecord] {
    func present(_ name: String) throws -> FileStatus {
      guard let status = try FileSystem.status(folders.inboxPath + "/" + name), status.isRegular
      else {
        throw SpoolError("\(displayName(name)) was taken away before it could be claimed")
      }
      return status
    }
    let clipStatus = try present(ready.clip)
    var clip: String?
    return try ready.sidecars.map { sidecar in
      let status = try present(sidecar)
      let id = idGenerator.next(now: now).rawValue
      clip = clip ?? id
      var record = JobRecord(
        id: id, clip: clip ?? id,
        clipStem: DroppedName(ready.clip).stem.precomposedStringWithCanonicalMapping,
        name: DroppedName(sidecar).stem, sourceName: ready.clip, inboxName: ready.clip,
        sidecarName: sidecar,
        state: JobRecord.claiming, client: ClientName.user(status.owner),
        submitted: now.toMilliseconds, clipIdentity: clipStatus.identity)
      record.sidecarIdentity = status.identity
      return record
    }
  }

  /// What puts a large clip on the disk, which may take long; `nil` for one that takes a moment.
  public func longSync(of ready: ReadyClip) -> (@Sendable () throws -> Void)? {
    let path = folders.inboxPath + "/" + ready.clip
    guard let status = try? FileSystem.status(path), status.isRegular, status.size > 32 << 20 else {
      return nil
    }
    return { try FileSystem.sync(path) }
  }

  // MARK: Completing a claim

  typealias ClaimResult = (jobs: [Job], problem: String?)

  /// Brings the files of each record into its work folder, and makes it a job; or undoes the claim.
  /// Results by clip.
  func completeClaims(_ records: [JobRecord]) throws -> [String: ClaimResult] {
    do {
      return try attemptClaims(records)
    } catch {
      hasUnfinishedClaims = true
      throw error
    }
  }

  private func attemptClaims(_ records: [JobRecord]) throws -> [String: ClaimResult] {
    var results: [String: ClaimResult] = [:]
    var accepted: [JobRecord] = []
    var dropped: [JobRecord] = []
    for (clip, group) in Dictionary(grouping: records, by: \.clip).sorted(by: { $0.key < $1.key }) {
      do {
        let taken = try takeFiles(of: group)
        for record in taken {
          // Whoever wrote them need not have synced them.
          try FileSystem.sync(sourcePath(of: record))
          if let sidecar = sidecarPath(of: record) { try FileSystem.sync(sidecar) }
        }
        accepted += taken
        dropped += group.filter { record in !taken.contains { $0.id == record.id } }
        results[clip] = ([], nil)
      } catch {
        results[clip] = ([], "\(error)")
        do {
          try putBack(group)
          dropped += group
        } catch {
          // Stays recorded as being claimed, and is gone on with later.
          hasUnfinishedClaims = true
          results[clip]?.problem? += "; \(error)"
        }
      }
    }
    guard !accepted.isEmpty || !dropped.isEmpty else { return results }
    // The renames must not come to the disk later than the word that they are done.
    for record in accepted { try FileSystem.syncFolder(folders.workFolder(record.jobID)) }
    try FileSystem.syncFolder(folders.workPath)
    try FileSystem.syncFolder(folders.inboxPath)
    try store.update(accepted, deleting: dropped)
    for record in accepted {
      if let job = try store.job(record.jobID) { results[record.clip]?.jobs.append(job) }
    }
    return results
  }

  /// - Returns: the records whose files are all there, as jobs; the others' sidecars were taken
  ///   away by their owner.
  private func takeFiles(of group: [JobRecord]) throws -> [JobRecord] {
    for record in group {
      try FileSystem.makeFolder(folders.workFolder(record.jobID))
      try FileSystem.makeFolder(folders.resultFolder(record.jobID))
    }
    // The sidecars first: where one cannot be had, the clip, which may be large, is not moved.
    var taken = try group.filter { try takeSidecar(of: $0) }
    if taken.isEmpty {
      try putBack(group)
      return []
    }
    try takeClip(for: group)
    for index in taken.indices { try accept(&taken[index]) }
    // The clip of one without its sidecar is a second name of the others'.
    for record in group where !taken.contains(where: { $0.id == record.id }) {
      try FileSystem.removeAll(folders.workFolder(record.jobID))
    }
    return taken
  }

  private func takeClip(for group: [JobRecord]) throws {
    guard let first = group.first else { return }
    if let holder = group.first(where: { $0.id == $0.clip }) {
      let inInbox = folders.inboxPath + "/" + holder.inboxName
      let status = try FileSystem.status(inInbox).flatMap { holder.isClip($0) ? $0 : nil }
      if let taken = try sourcePath(among: group) {
        try removeOriginal(inInbox, status, copiedTo: taken)
      } else if status != nil {
        try FileSystem.moveFile(inInbox, to: sourcePath(of: holder))
      } else {
        throw SpoolError(
          "\(displayName(holder.inboxName)) was taken away before it could be claimed")
      }
    }
    guard
      let source = try sourcePath(among: group)
        ?? sourcePath(among: store.records(ofClip: first.clip))
    else {
      throw SpoolError("the clip \(displayName(first.sourceName)) is no longer there")
    }
    if FileSystem.isBeingWritten(source) {
      throw SpoolError("\(displayName(first.inboxName)) is being written to again")
    }
    for record in group where try FileSystem.status(sourcePath(of: record)) == nil {
      try FileSystem.linkOrCopy(source, to: sourcePath(of: record))
    }
  }

  private func takeSidecar(of record: JobRecord) throws -> Bool {
    guard let name = record.sidecarName, let path = sidecarPath(of: record) else { return true }
    let inInbox = folders.inboxPath + "/" + name
    let status = try FileSystem.status(inInbox).flatMap { record.isSidecar($0) ? $0 : nil }
    if try FileSystem.status(path) != nil {
      try removeOriginal(inInbox, status, copiedTo: path)
      return true
    }
    guard status != nil else { return false }
    try FileSystem.moveFile(inInbox, to: path)
    if FileSystem.isBeingWritten(path) {
      throw SpoolError("\(displayName(name)) is being written to again")
    }
    return true
  }

  /// Where a move had to be a copy, a crash may have left the original.
  private func removeOriginal(_ original: String, _ status: FileStatus?, copiedTo copy: String)
    throws
  {
    guard let status, let copied = try FileSystem.status(copy), !copied.isSameFile(as: status)
    else { return }
    if unlink(original) != 0 && errno != ENOENT { throw FileError("remove", original) }
  }

  private func accept(_ record: inout JobRecord) throws {
    if let sidecar = sidecarPath(of: record) {
      do {
        let bytes = try FileSystem.read(sidecar, limit: Sidecar.sizeLimit + 1)
        let request = try Sidecar.request(
          from: bytes, fileExtension: DroppedName(record.sidecarName ?? "").fileExtension)
        record.editSettings = request.settings
        record.priority = request.priority
      } catch let error as SidecarError {
        record.settings = nil
        record.error = "\(displayName(record.sidecarName ?? "")): \(error)"
      }
    }
    if record.error == nil, let size = try FileSystem.status(sourcePath(of: record))?.size,
      size > limits.jobBytes
    {
      record.error = limits.jobBytesExceeded(by: size)
    }
    let isFailed = record.error != nil
    record.state = (isFailed ? JobState.failed : .queued).rawValue
    record.finished = isFailed ? record.submitted : nil
    let with = record.sidecarName.map { " with \($0)" } ?? ""
    try log("accepted \(record.sourceName)\(with) as job \(record.id)", job: record.jobID)
    if let error = record.error { try log(error, level: "error", job: record.jobID) }
  }

  /// Returns the files of a claim to the inbox, and removes its work folders.
  private func putBack(_ group: [JobRecord]) throws {
    for record in group where record.id == record.clip {
      try returnToInbox(sourcePath(of: record), as: record.inboxName, job: record.jobID)
    }
    for record in group {
      if let sidecar = sidecarPath(of: record), let name = record.sidecarName {
        try returnToInbox(sidecar, as: name, job: record.jobID)
      }
      try FileSystem.removeAll(folders.workFolder(record.jobID))
    }
  }

  /// Moves a file back; under `recovered-ID.EXT` where its name was taken meanwhile.
  func returnToInbox(_ path: String, as name: String, job: JobID) throws {
    guard try FileSystem.status(path) != nil else { return }
    do {
      try FileSystem.moveFile(path, to: folders.inboxPath + "/" + name)
    } catch let error as FileError where error.code == EEXIST {
      try FileSystem.moveFile(
        path,
        to: folders.inboxPath + "/" + JobRecord.fileName("recovered-\(job)", extensionOf: name))
    }
  }

  // MARK: Paths

  func sourcePath(of record: JobRecord) -> String {
    folders.workFolder(record.jobID) + "/" + record.sourceFile
  }
  func sidecarPath(of record: JobRecord) -> String? {
    record.sidecarFile.map { folders.workFolder(record.jobID) + "/" + $0 }
  }

  /// A place where one of these jobs of one clip still has it: its work folder, or its folder in
  /// the outbox, unless somebody put another file there.
  func sourcePath(among records: [JobRecord]) throws -> String? {
    for record in records {
      let work = sourcePath(of: record)
      if try FileSystem.status(work)?.isRegular == true { return work }
      let result = folders.resultFolder(record.jobID) + "/" + record.sourceFile
      if try FileSystem.status(result)?.isRegular == true { return result }
      if let outboxName = record.outboxName {
        let folder = folders.outboxPath + "/" + outboxName
        if let status = try FileSystem.status(folder + "/" + record.sourceFile), status.isRegular,
          try FileSystem.status(folder)?.isFolder == true,
          record.isClip(status) || Outbox.jobID(ofResultFolder: folder) == record.jobID
        {
          return folder + "/" + record.sourceFile
        }
      }
    }
    return nil
  }
}

extension FileSystem {
  /// Whether somebody is seen to have the file open for writing; `false` where it cannot be opened.
  static func isBeingWritten(_ path: String) -> Bool {
    let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return OpenForWriting.answer(for: descriptor) == .yes
  }
}

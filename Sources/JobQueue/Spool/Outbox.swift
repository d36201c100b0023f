import EditReport
import Foundation
import Glibc

/// The folder where results appear, each whole or not at all.
struct Outbox {
  static let reportName = "result.json"

  let folder: String

  /// Makes a folder visible under the first free name of `NAME`, `NAME-2`, `NAME-3` …, by one
  /// rename, and puts that on the disk.
  /// - Parameters:
  ///   - prepared: complete and synced.
  ///   - job: names what is set aside meanwhile where `prepared` lies on another mount.
  /// - Returns: the name it has.
  /// - Throws: `FileError`; repeating completes it.
  func deliver(_ prepared: String, as name: String, job: JobID) throws -> String {
    let delivered: String
    do {
      delivered = try publish(prepared, as: name, job)
    } catch let error as FileError where error.code == EXDEV {
      let aside = asidePath(job)
      try FileSystem.removeAll(aside)
      try FileSystem.makeFolder(aside)
      for file in try Self.regularFiles(in: prepared) {
        try FileSystem.copy(prepared + "/" + file, to: aside + "/" + file)
      }
      try FileSystem.syncFolder(aside)
      delivered = try publish(aside, as: name, job)
      // The original goes when the copy has its name on the disk: two file systems keep no order.
      try FileSystem.syncFolder(folder)
      try FileSystem.removeAll(prepared)
    }
    try FileSystem.syncFolder(folder)
    return delivered
  }

  /// Where this job's result is, if it is there: found by what its report says, under any name that
  /// it may have been given.
  func find(_ job: JobID, name: String) throws -> String? {
    let stem = Self.trimmed(name, to: Self.stemLimit)
    let candidates = try FileSystem.names(in: folder).compactMap {
      String(validating: $0, as: UTF8.self)
    }
    .filter { $0 == stem || $0.hasPrefix(stem + "-") }
    return candidates.sorted().first { Self.jobID(ofResultFolder: folder + "/" + $0) == job }
  }

  /// Removes what copies that were cut off left.
  func removeAside() throws {
    for name in try FileSystem.names(in: folder).compactMap({
      String(validating: $0, as: UTF8.self)
    })
    where name.hasPrefix(Self.asidePrefix) && name.hasSuffix(Self.asideSuffix) {
      try FileSystem.removeAll(folder + "/" + name)
    }
  }

  static func jobID(ofResultFolder folder: String) -> JobID? {
    struct Report: Decodable { var id: JobID }
    guard let bytes = try? FileSystem.read(folder + "/" + reportName, limit: 1 << 20) else {
      return nil
    }
    return try? JSONDecoder().decode(Report.self, from: Data(bytes)).id
  }

  static func regularFiles(in folder: String) throws -> [String] {
    try FileSystem.names(in: folder).compactMap { String(validating: $0, as: UTF8.self) }
      .filter { try FileSystem.status(folder + "/" + $0)?.isRegular == true }.sorted()
  }

  /// Of results that want the same name; more of them get their job's id.
  private static let mostNumbers = 1000
  /// The same with their sizes, but for what is still being written.
  static func finishedFiles(in folder: String) throws -> [ResultFile] {
    try regularFiles(in: folder).filter { !DroppedName.isTemporary($0) }.compactMap { name in
      try FileSystem.status(folder + "/" + name).map {
        ResultFile(name: name, bytes: Int($0.size))
      }
    }
  }

  private static let asidePrefix = ".stemd-"
  private static let asideSuffix = ".part"
  /// Leaves room for `-12345` within the 255 bytes of a file name.
  private static let stemLimit = 255 - 6

  private func asidePath(_ job: JobID) -> String {
    folder + "/" + Self.asidePrefix + job.rawValue + Self.asideSuffix
  }

  private func publish(_ prepared: String, as name: String, _ job: JobID) throws -> String {
    let stem = Self.trimmed(name, to: Self.stemLimit)
    let names = (1...Self.mostNumbers).lazy.map { $0 == 1 ? stem : "\(stem)-\($0)" }
    for candidate in names + ["\(Self.trimmed(name, to: Self.stemLimit - 10))-\(job)"] {
      do {
        try FileSystem.move(prepared, to: folder + "/" + candidate)
        return candidate
      } catch let error as FileError where error.code == EEXIST || error.code == ENOTEMPTY {
        continue
      }
    }
    throw FileError("deliver to", folder + "/" + stem, code: EEXIST)
  }

  /// At most `limit` bytes, cut between characters.
  private static func trimmed(_ name: String, to limit: Int) -> String {
    var trimmed = name
    while trimmed.utf8.count > limit { trimmed.removeLast() }
    return trimmed
  }
}

extension Spool {
  /// Makes the result folder ready for an attempt: nothing of an earlier one is left but the log.
  /// - Throws: `FileError`
  public func prepareAttempt(of job: JobID) throws {
    let folder = folders.resultFolder(job)
    try nameFolder(of: job)
    try FileSystem.makeFolder(folders.workFolder(job))
    try FileSystem.makeFolder(folder)
    for name in try FileSystem.names(in: folder).compactMap({
      String(validating: $0, as: UTF8.self)
    }) where name != JobLog.fileName {
      try FileSystem.removeAll(folder + "/" + name)
    }
  }

  /// Brings the result of a job in a final state into the outbox: its input, log and report, and
  /// what the worker made if it is done.
  /// - Parameter again: whether this was tried before, and may have been cut off between the rename
  ///   and the record of it.
  /// - Throws: `FileError` or the store's; the job keeps its state, and is to be delivered again
  ///   later.
  public func deliver(_ id: JobID, again: Bool = false) throws -> Job {
    guard let record = try store.record(id), let job = record.job else {
      throw SpoolError("there is no job \(id)")
    }
    guard job.state.isFinal else {
      throw SpoolError("job \(id) is \(job.state.rawValue): only what is final is delivered")
    }
    if record.outboxName != nil { return job }
    // Somebody may have removed it; a link to a disk that is away stays as it is.
    try FileSystem.makeFolder(atMissing: folders.outboxPath)
    try nameFolder(of: id)
    let outbox = Outbox(folder: folders.outboxPath)
    let result = folders.resultFolder(id)
    // Assembling moves the clip, so what still lies in the work folder was not delivered.
    let isAssembled = try FileSystem.status(sourcePath(of: record)) == nil
    let mayBeDelivered = try isAssembled && (again || FileSystem.status(result) == nil)
    let outboxName: String
    if mayBeDelivered, let found = try outbox.find(id, name: record.name) {
      outboxName = found
    } else {
      try FileSystem.makeFolder(folders.workFolder(id))
      try FileSystem.makeFolder(result)
      try assemble(record)
      outboxName = try outbox.deliver(result, as: record.name, job: id)
    }
    let delivered = try store.setDelivered(id, outboxName: outboxName)
    try FileSystem.removeAll(folders.workFolder(id))
    return delivered
  }

  private func assemble(_ record: JobRecord) throws {
    let result = folders.resultFolder(record.jobID)
    var expected: Set<String> = [record.sourceFile, JobLog.fileName, Outbox.reportName]
    if let sidecar = record.sidecarFile { expected.insert(sidecar) }
    for name in try FileSystem.names(in: result).compactMap({
      String(validating: $0, as: UTF8.self)
    }) where !expected.contains(name) {
      let isMade = record.state == JobState.done.rawValue && !DroppedName.isTemporary(name)
      if try !isMade || FileSystem.status(result + "/" + name)?.isRegular != true {
        try FileSystem.removeAll(result + "/" + name)
      }
    }
    for (path, name) in [
      (sourcePath(of: record), record.sourceFile), (sidecarPath(of: record), record.sidecarFile),
    ] {
      guard let path, let name, try FileSystem.status(path) != nil else { continue }
      // The worker has no business with these names: what it put there gives way.
      try FileSystem.removeAll(result + "/" + name)
      try FileSystem.move(path, to: result + "/" + name)
    }
    try JobLog.append("\(record.state); delivered to the outbox", toResultFolder: result)
    try FileSystem.writeAside(
      ResultReport(record: record).data, to: result + "/" + Outbox.reportName)
    // The worker's own page shows the edit.
    if try FileSystem.status(result + "/" + EditReport.fileName) == nil {
      let report = JobReport(record: record, log: JobLog.end(inResultFolder: result))
      try FileSystem.writeAside(report.page.html(), to: result + "/" + EditReport.fileName)
    }
    for name in try Outbox.regularFiles(in: result) { try FileSystem.sync(result + "/" + name) }
    try FileSystem.syncFolder(result)
  }
}

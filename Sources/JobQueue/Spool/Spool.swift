import Foundation
import Glibc

/// One spool: its folders, its job store, and the operations that carry a job from the inbox
/// through the work folder into the outbox.
///
/// Each operation can be cut off at any instruction: `reconcile` at the next start completes or
/// undoes it. Used from one thread, and by one process at a time, which a lock in the state folder
/// sees to.
public final class Spool {
  public let folders: SpoolFolders
  public let store: JobStore
  public var limits: SpoolLimits
  /// Whether a claim failed in a way that leaves it recorded: call `resumeClaims` later.
  public internal(set) var hasUnfinishedClaims = false
  var idGenerator: JobIDGenerator
  /// Of requests that the store could not take, until it has taken others.
  var refusedFolders: [String] = []
  /// Whether there are such: call `removeRefused` later.
  public var hasRefusedFolders: Bool { !refusedFolders.isEmpty }
  private let lock: Int32

  /// Makes missing folders, takes the lock, opens the store.
  /// - Throws: `FileError`, `JobStoreError`, or `SpoolError` where another daemon serves the same
  ///   root.
  public init(root: URL, limits: SpoolLimits = SpoolLimits()) throws {
    self.limits = limits
    folders = SpoolFolders(root: root)
    try FileSystem.makeFolders(folders.rootPath)
    for folder in [
      folders.inbox, folders.work, folders.outbox, folders.state, folders.cache, folders.sockets,
    ] {
      // Each may be a link to a folder on another disk.
      try FileSystem.makeFolders(SpoolFolders.plain(folder))
    }
    // Whoever may drop clips has no business with claimed jobs, the store or the workers' socket. A
    // folder of another owner is the administrator's own arrangement.
    for folder in [folders.work, folders.state, folders.cache] {
      chmod(SpoolFolders.plain(folder), 0o700)
    }
    chmod(SpoolFolders.plain(folders.sockets), 0o750)
    lock = try Self.lock(folders.statePath + "/lock")
    do {
      store = try JobStore(path: folders.statePath + "/jobs.sqlite")
      idGenerator = JobIDGenerator(after: try store.newestID())
    } catch {
      close(lock)
      throw error
    }
  }

  deinit { close(lock) }

  private static func lock(_ path: String) throws -> Int32 {
    // Closed on exec: a worker that outlives the daemon must not keep its successor out.
    let descriptor = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o660)
    guard descriptor >= 0 else { throw FileError("open", path) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let holder =
        (try? FileSystem.read(path, limit: 32)).map { String(decoding: $0, as: UTF8.self) } ?? ""
      close(descriptor)
      let process = Int32(holder).map { " (process \($0))" } ?? ""
      throw SpoolError(
        "another stemd\(process) serves this spool: stop it, or choose another --root")
    }
    let text = Array("\(getpid())".utf8)
    _ = ftruncate(descriptor, 0)
    _ = pwrite(descriptor, text, text.count, 0)
    return descriptor
  }
}

/// Why the spool refuses; one sentence that says what to do.
public struct SpoolError: Error, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }
}

extension SpoolFolders {
  public var rootPath: String { Self.plain(root) }
  var inboxPath: String { Self.plain(inbox) }
  var workPath: String { Self.plain(work) }
  var outboxPath: String { Self.plain(outbox) }
  var statePath: String { Self.plain(state) }

  func workFolder(_ id: JobID) -> String { workPath + "/" + id.rawValue }
  func resultFolder(_ id: JobID) -> String { workFolder(id) + "/result" }

  public func checkpointFolder(_ id: JobID) -> String { workFolder(id) + "/checkpoint" }
  public var keysPath: String { Self.plain(root.appending(path: "keys")) }
  public var cachePath: String { Self.plain(cache) }

  /// The job's clip, for its worker.
  public func sourcePath(of job: Job) -> String {
    workFolder(job.id) + "/" + JobRecord.fileName("source", extensionOf: job.sourceName)
  }
  /// Where the job's worker puts its result.
  public func resultPath(of job: JobID) -> String { resultFolder(job) }

  /// Without the slash that a folder's URL ends in.
  static func plain(_ folder: URL) -> String {
    let path = folder.path(percentEncoded: false)
    return path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
  }
}

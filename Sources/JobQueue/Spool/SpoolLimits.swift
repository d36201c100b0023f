/// What the spool takes in; the names in sentences are the configuration's.
public struct SpoolLimits: Sendable, Equatable {
  /// Jobs that are queued.
  public var queueLength = 100_000
  /// Bytes of a clip's file.
  public var jobBytes: Int64 = 8 << 30
  /// Bytes that stay free where the spool lies.
  public var spoolReserve: Int64 = 64 << 20

  public init() {}

  func jobBytesExceeded(by size: Int64) -> String {
    "the clip has \(size) bytes, above the limit 'job_bytes' of \(jobBytes): cut it or make it smaller, or ask the operator to raise the limit"
  }

  func checkSize(_ size: Int64) throws {
    guard size <= jobBytes else {
      throw Refusal(.limit, jobBytesExceeded(by: size), limit: "job_bytes")
    }
  }

  func checkQueue(_ queued: Int) throws {
    guard queued < queueLength else {
      throw Refusal(
        .limit,
        "\(queued) jobs are queued, and the limit 'queue_length' is \(queueLength): wait until some are done",
        limit: "queue_length")
    }
  }
}

extension Spool {
  /// Whether the disk has room for more than what is reserved.
  /// - Throws: `Refusal` naming the limit; `FileError`.
  public func checkSpace(for bytes: Int64 = 0) throws {
    let free = try FileSystem.freeBytes(at: folders.workPath)
    // What is announced may be any number.
    guard free >= limits.spoolReserve, max(0, bytes) <= free - limits.spoolReserve else {
      throw Refusal(
        .limit,
        "the disk of \(displayName(folders.rootPath)) has \(free >> 20) MiB free, or no room for further files, and the limit 'spool_reserve' keeps \(limits.spoolReserve >> 20) MiB: make room there",
        limit: "spool_reserve")
    }
  }

  /// Whether another job may be queued.
  /// - Throws: `Refusal` naming the limit, or the store's error.
  public func checkRoom(for jobs: Int = 0) throws {
    try limits.checkQueue((try store.countsByState()[.queued] ?? 0) + jobs)
  }
}

import Foundation
import Glibc

/// A file of a result, as a client may fetch it.
public struct ResultFile: Codable, Sendable, Equatable {
  public var name: String
  public var bytes: Int
  public init(name: String, bytes: Int) { (self.name, self.bytes) = (name, bytes) }
}

/// Reading what lies in the outbox, where people may do as they like: nothing but regular files in
/// the job's own folder is read.
extension Spool {
  /// - Throws: `Refusal` where there is no result, or not any more.
  public func resultFiles(of job: Job) throws -> [ResultFile] {
    try inDeliveredFolder(of: job) { try Outbox.finishedFiles(in: $0) }
  }

  /// - Returns: at most `length` bytes from `offset` on, and the file's size.
  /// - Throws: `Refusal`
  public func readResult(_ file: String, of job: Job, offset: Int, length: Int) throws -> (
    bytes: Data, size: Int
  ) {
    try inDeliveredFolder(of: job) { folder in
      let missing = Refusal(
        .notFound,
        "the result of job \(job.id) has no file '\(displayName(String(file.prefix(80))))'"
      )
      guard FileSystem.isPlainName(file) else { throw missing }
      do {
        return try FileSystem.readPart(folder + "/" + file, offset: offset, length: length)
      } catch let error as FileError where error.action == "open" {
        throw missing
      }
    }
  }

  /// - Parameter body: gets a path that leads to the folder that was looked at, whatever somebody
  ///   puts in its place meanwhile.
  private func inDeliveredFolder<Result>(of job: Job, _ body: (String) throws -> Result) throws
    -> Result
  {
    guard let name = job.outboxName else {
      throw Refusal(
        .state, "job \(job.id) is \(job.state.rawValue), and has no result in the outbox yet")
    }
    let opened = open(
      folders.outboxPath + "/" + name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    defer { if opened >= 0 { close(opened) } }
    let folder = "/proc/self/fd/\(opened)"
    // Another job's result may have taken the name since.
    guard opened >= 0, Outbox.jobID(ofResultFolder: folder) == job.id else {
      throw Refusal(
        .notFound, "the folder \(displayName(name)) of job \(job.id) is not in the outbox any more")
    }
    return try body(folder)
  }
}

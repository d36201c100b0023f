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
    let folder = try deliveredFolder(of: job)
    return try Outbox.finishedFiles(in: folder)
  }

  /// - Returns: at most `length` bytes from `offset` on, and the file's size.
  /// - Throws: `Refusal`
  public func readResult(_ file: String, of job: Job, offset: Int, length: Int) throws -> (
    bytes: Data, size: Int
  ) {
    let folder = try deliveredFolder(of: job)
    let missing = Refusal(
      .notFound, "the result of job \(job.id) has no file '\(displayName(String(file.prefix(80))))'"
    )
    guard FileSystem.isPlainName(file) else { throw missing }
    do {
      return try FileSystem.readPart(folder + "/" + file, offset: offset, length: length)
    } catch let error as FileError where error.action == "open" {
      throw missing
    }
  }

  private func deliveredFolder(of job: Job) throws -> String {
    guard let name = job.outboxName else {
      throw Refusal(
        .state, "job \(job.id) is \(job.state.rawValue), and has no result in the outbox yet")
    }
    let folder = folders.outboxPath + "/" + name
    // Another job's result may have taken the name since.
    guard try FileSystem.status(folder)?.isFolder == true,
      Outbox.jobID(ofResultFolder: folder) == job.id
    else {
      throw Refusal(
        .notFound, "the folder \(displayName(name)) of job \(job.id) is not in the outbox any more")
    }
    return folder
  }
}

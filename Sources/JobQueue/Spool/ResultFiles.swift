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
    return try Outbox.regularFiles(in: folder).filter { !DroppedName.isTemporary($0) }.compactMap {
      name in
      try FileSystem.status(folder + "/" + name).map {
        ResultFile(name: name, bytes: Int($0.size))
      }
    }
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
    guard !file.isEmpty, !file.utf8.contains(0x2f), !file.utf8.contains(0), file != "..",
      file != "."
    else { throw missing }
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

extension FileSystem {
  /// - Returns: at most `length` bytes of a regular file from `offset` on, and the file's size.
  static func readPart(_ path: String, offset: Int, length: Int) throws -> (bytes: Data, size: Int)
  {
    let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError("open", path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw FileError("open", path, code: EINVAL)
    }
    let size = Int(status.st_size)
    var bytes = Data(count: offset < 0 || offset >= size ? 0 : min(length, size - offset))
    var filled = 0
    while filled < bytes.count {
      let count = bytes.withUnsafeMutableBytes {
        pread(descriptor, $0.baseAddress! + filled, $0.count - filled, off_t(offset + filled))
      }
      guard count >= 0 else {
        if errno == EINTR { continue }
        throw FileError("read", path)
      }
      if count == 0 { break }
      filled += count
    }
    return (bytes.prefix(filled), size)
  }
}

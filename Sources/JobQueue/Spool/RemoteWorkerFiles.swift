import EditReport
import Foundation
import Glibc

/// The files of a job that a worker elsewhere reads and writes, by the names of the protocol:
/// `source`, `checkpoint/NAME`, and those of a result. No other name leads anywhere.
extension Spool {
  private static let checkpointPrefix = "checkpoint/"
  /// What a worker makes of a job.
  public static let workersFiles = [
    "edited.mp4", EditReport.comparisonName, EditReport.posterName, EditReport.fileName,
  ]

  public func sourceSize(of job: Job) throws -> Int {
    guard let status = try FileSystem.status(folders.sourcePath(of: job)), status.isRegular else {
      throw Refusal(.notFound, "the clip of job \(job.id) is not in the work folder any more")
    }
    return Int(status.size)
  }

  public func checkpointFiles(of job: JobID) throws -> [ResultFile] {
    let folder = folders.checkpointFolder(job)
    guard try FileSystem.status(folder)?.isFolder == true else { return [] }
    return try Outbox.finishedFiles(in: folder)
  }

  /// Removes what a job's newest checkpoint does not consist of.
  public func keepCheckpointFiles(_ names: Set<String>, of job: JobID) throws {
    let folder = folders.checkpointFolder(job)
    for file in try checkpointFiles(of: job) where !names.contains(file.name) {
      try FileSystem.removeAll(folder + "/" + file.name)
    }
  }

  /// - Returns: at most `length` bytes from `offset` on, and the file's size.
  /// - Throws: `Refusal`, `FileError`
  public func readForWorker(_ file: String, of id: JobID, offset: Int, length: Int) throws -> (
    bytes: Data, size: Int
  ) {
    let path: String
    if file == "source" {
      guard let job = try store.job(id) else { throw Refusal(.notFound, "there is no job \(id)") }
      path = folders.sourcePath(of: job)
    } else {
      path = try checkpointPath(file, of: id)
    }
    return try FileSystem.readPart(path, offset: offset, length: length)
  }

  /// Adds the next part to a file, which gets its name when it is whole and on the disk.
  /// - Returns: how many bytes of it there are now. A part that is not the next one changes nothing.
  /// - Throws: `Refusal`, `FileError`
  public func keepForWorker(
    _ part: Data, at offset: Int, of size: Int, in file: String, of id: JobID
  ) throws -> Int {
    let (folder, name): (String, String)
    if Self.workersFiles.contains(file) {
      (folder, name) = (folders.resultFolder(id), file)
    } else {
      let path = try checkpointPath(file, of: id)
      folder = folders.checkpointFolder(id)
      try FileSystem.makeFolder(folder)
      name = String(path.dropFirst(folder.count + 1))
    }
    guard size > 0, (0...size).contains(offset), part.count <= size - offset else {
      throw Refusal(.malformed, "this part leads beyond the \(size) bytes that were announced")
    }
    try checkSpace(for: Int64(offset == 0 ? size : part.count))
    let aside = folder + "/." + name + ".part"
    if offset == 0 { try FileSystem.removeAll(aside) }
    let stored = Int(try FileSystem.status(aside)?.size ?? 0)
    guard stored == offset else { return stored }
    try FileSystem.append(part, to: aside)
    guard offset + part.count == size else { return offset + part.count }
    try FileSystem.sync(aside)
    guard rename(aside, folder + "/" + name) == 0 else {
      throw FileError("write", folder + "/" + name)
    }
    try FileSystem.syncFolder(folder)
    return size
  }

  private func checkpointPath(_ file: String, of id: JobID) throws -> String {
    let name = String(file.dropFirst(Self.checkpointPrefix.count))
    guard file.hasPrefix(Self.checkpointPrefix), FileSystem.isPlainName(name),
      name.utf8.count <= 200, name.utf8.first != 0x2e
    else {
      throw Refusal(
        .notFound, "a job has no file '\(displayName(String(file.prefix(80))))' for its worker")
    }
    return folders.checkpointFolder(id) + "/" + name
  }
}

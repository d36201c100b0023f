import Foundation
import JobQueue
import Messaging

/// Clips, checkpoints and results of workers that do not see the spool: they go over the worker's
/// socket, in parts.
extension Daemon {
  /// Bytes of a file in one message.
  private static let part = 512 << 10

  func remoteFiles(of job: Job) throws -> Assignment.Files {
    .remote(
      Assignment.RemoteFiles(
        sourceBytes: try spool.sourceSize(of: job),
        checkpoint: try spool.checkpointFiles(of: job.id)))
  }

  /// Answers a `get`.
  func give(_ file: String, from offset: Int, of job: JobID, to name: String) {
    guard let worker = workers[name] else { return }
    do {
      let (bytes, size) = try spool.readForWorker(
        file, of: job, offset: offset,
        length: Self.part)
      _ = send(.data(job: job, file: file, offset: offset, bytes: size), body: bytes, to: worker)
    } catch {
      _ = send(.gone(job: job, file: file, message: "\(error)"), to: worker)
    }
  }

  /// Answers a `put`.
  func keep(
    _ part: Data, at offset: Int, of bytes: Int, in file: String, of job: JobID, from name: String
  ) {
    guard let worker = workers[name] else { return }
    do {
      let stored = try spool.keepForWorker(part, at: offset, of: bytes, in: file, of: job)
      _ = send(.stored(job: job, file: file, offset: stored), to: worker)
    } catch {
      _ = send(.gone(job: job, file: file, message: "\(error)"), to: worker)
    }
  }
}

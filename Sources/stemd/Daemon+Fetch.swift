import Foundation
import JobQueue
import Messaging

extension Daemon {
  /// Answers wait in a queue of many for a client that does not read; so none is long.
  private static let longestPart = 64 << 10

  func fetch(_ file: String, of job: Job, offset: Int, length: Int, _ asker: Asker) throws {
    guard offset >= 0, length >= 1 else {
      throw Refusal(.malformed, "'offset' takes a whole number from 0 up, 'length' one from 1 up")
    }
    let (bytes, size) = try spool.readResult(
      file, of: job, offset: offset, length: min(length, Self.longestPart))
    reply(.data(job: job.id, file: file, offset: offset, bytes: size), body: bytes, to: asker)
  }
}

import Foundation
import JobQueue
import Messaging

extension Daemon {
  /// Room that an answer's header takes of a message.
  private static let headerRoom = 4096

  func fetch(_ file: String, of job: Job, offset: Int, length: Int, _ asker: Asker) throws {
    guard offset >= 0, length >= 1 else {
      throw Refusal(.malformed, "'offset' takes a whole number from 0 up, 'length' one from 1 up")
    }
    let most = configuration.limits.messageBytes - Self.headerRoom
    let (bytes, size) = try spool.readResult(
      file, of: job, offset: offset, length: min(length, most))
    reply(.data(job: job.id, file: file, offset: offset, bytes: size), body: bytes, to: asker)
  }
}

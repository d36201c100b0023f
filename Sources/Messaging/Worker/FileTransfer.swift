import Foundation
import JobQueue

/// Files of a job that go over the worker's socket, for a worker that does not see the spool. To be
/// used by the computing thread only, one transfer after another.
public struct FileTransfer {
  /// Bytes of one part; a frame takes more.
  private static let part = 512 << 10
  /// After this long without an answer a question is asked again: it may have got lost with a
  /// connection.
  private static let patience = 15
  /// Questions without an answer before the daemon is taken for gone.
  private static let mostQuestions = 8

  private let connection: WorkerConnection
  private let job: JobID
  private let cancellation: Cancellation

  public init(_ connection: WorkerConnection, job: JobID) {
    (self.connection, self.job) = (connection, job)
    cancellation = connection.cancellation(of: job)
  }

  /// Copies a file of the job to `path`.
  /// - Throws: `CancellationError`; `MessagingError` where it is not to be had; `POSIXError`.
  public func fetch(_ file: String, to path: String) throws {
    guard FileManager.default.createFile(atPath: path, contents: nil) else {
      throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
    }
    let handle = try FileHandle(forWritingTo: URL(filePath: path))
    defer { try? handle.close() }
    var offset = 0
    while true {
      let (message, body) = try answer(to: .get(job: job, file: file, offset: offset), file) {
        if case .data(_, _, offset, _) = $0 { true } else { false }
      }
      guard case .data(_, _, _, let size) = message, let body else { continue }
      try handle.write(contentsOf: body)
      offset += body.count
      if offset >= size { return }
      guard !body.isEmpty else {
        throw MessagingError("The file \(file) of job \(job) ends early.")
      }
    }
  }

  /// Copies the file at `path` to the daemon.
  public func put(_ path: String, as file: String) throws {
    let handle = try FileHandle(forReadingFrom: URL(filePath: path))
    defer { try? handle.close() }
    let size = Int(try handle.seekToEnd())
    var offset = 0
    while offset < size {
      try handle.seek(toOffset: UInt64(offset))
      let part = try handle.read(upToCount: Self.part) ?? Data()
      let (message, _) = try answer(
        to: .put(job: job, file: file, offset: offset, bytes: size), body: part, file
      ) {
        if case .stored = $0 { true } else { false }
      }
      if case .stored(_, _, let stored) = message { offset = min(size, max(0, stored)) }
    }
  }

  private func answer(
    to question: WorkerMessage, body: Data? = nil, _ file: String,
    _ isAnswer: (DaemonMessage) -> Bool
  ) throws -> (DaemonMessage, Data?) {
    for _ in 0..<Self.mostQuestions {
      connection.send(question, body: body)
      for _ in 0..<Self.patience {
        try cancellation.check()
        guard let (message, body) = connection.nextArrival(within: .seconds(1)) else { continue }
        if case .gone(job, file, let reason) = message {
          throw MessagingError("The file \(file) of job \(job) cannot be had or kept: \(reason).")
        }
        // What is left of an earlier question is no answer.
        if message.transfer == (job, file), isAnswer(message) { return (message, body) }
      }
    }
    throw MessagingError("stemd does not answer when it is asked for the files of job \(job).")
  }
}

extension DaemonMessage {
  fileprivate var transfer: (JobID, String) {
    switch self {
    case .data(let job, let file, _, _), .stored(let job, let file, _), .gone(let job, let file, _):
      (job, file)
    default: (JobID(rawValue: ""), "")
    }
  }
}

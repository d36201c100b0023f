import Dispatch
import Foundation
import JobQueue
import Synchronization

/// A worker's end of the worker socket, on a thread of its own: it keeps telling the daemon that
/// the worker lives, whatever the computing thread does, and takes the daemon's messages at any
/// time. All methods may be called from any thread.
///
/// A worker has one assignment at a time. The daemon that sends another one has forgotten the first
/// (it restarted): the first is then cancelled, and nothing is said about it any more. The same
/// assignment again is no news.
public final class WorkerConnection: Sendable {
  /// - Parameters:
  ///   - endpoint: `SpoolFolders.workerEndpoint`.
  ///   - security: By what keys it and the daemon know each other, on another machine.
  ///   - name: The worker's name, 1 … 255 bytes, by which the daemon knows it over reconnections.
  ///   - threads: How many threads it computes with.
  ///   - spool: Whether it sees the daemon's files under the same paths.
  ///   - activity: A number that changes while the computation moves on; asked once a second. What the
  ///     computing thread sends is a sign of that, too.
  ///   - silence: Seconds without a word from the daemon after which the connection is made anew.
  ///   - note: Gets what is worth logging about the connection, on the connection's thread.
  ///   - onStop: Called on the connection's thread when the daemon or `stop` says so and the job at hand
  ///     is left, after everything that was sent has been handed over; with `false` where the
  ///     computing thread did not leave it within `Heartbeat.stop`.
  public convenience init(
    endpoint: String, security: MessageSocket.Security = .local, name: String, threads: Int,
    spool: Bool = true,
    activity: @escaping @Sendable () -> Int = { 0 },
    silence: Double = Heartbeat.timeout,
    note: @escaping @Sendable (LogLevel, String) -> Void = { _, _ in },
    onStop: @escaping @Sendable (_ isInTime: Bool) -> Void = { _ in }
  ) throws {
    try self.init(
      line: WorkerLine(
        endpoint: endpoint, security: security, name: name, threads: threads, spool: spool,
        activity: activity, silence: silence, note: note),
      onStop: onStop)
  }

  private let line: WorkerLine

  private init(line: WorkerLine, onStop: @escaping @Sendable (Bool) -> Void) throws {
    self.line = line
    let opened = DispatchSemaphore(value: 0)
    let failure = Mutex<(any Error)?>(nil)
    // The thread owns the line, not the connection: the connection's end closes the line.
    let thread = Thread {
      line.run(
        opened: { error in
          failure.withLock { $0 = error }
          opened.signal()
        }, onStop: onStop)
    }
    thread.name = "messaging"
    thread.start()
    opened.wait()
    if let error = failure.withLock({ $0 }) { throw error }
  }

  deinit {
    line.close()
  }

  /// Waits for the daemon's next assignment. `nil`: stop working. The assignment is the worker's
  /// until `done`, `failed` or `cancelled` was sent for its job.
  public func nextAssignment() -> Assignment? { line.nextAssignment() }

  /// Whether the daemon wants this job's computation to end; for a job that `nextAssignment`
  /// returned.
  public func cancellation(of job: JobID) -> Cancellation { line.cancellation(of: job) }

  /// Never waits. Messages arrive in the order of their sending; while the daemon is away they are
  /// kept, progress only at its newest.
  public func send(_ message: WorkerMessage) { line.send(message) }

  /// The same, with the bytes that the message brings along.
  func send(_ message: WorkerMessage, body: Data?) { line.send(message, body: body) }

  func nextArrival(within timeout: DispatchTimeInterval) -> (message: DaemonMessage, body: Data?)? {
    line.nextArrival(within: timeout)
  }

  /// Whether the job at hand is to be left at the end of its step, with a checkpoint.
  public var isStopping: Bool { line.isStopping }

  /// The computing thread has left the job, because it is to stop.
  public func leave(_ job: JobID) { line.leave(job) }

  /// Stops as if the daemon had said so, and tells it.
  public func stop() { line.stop(byDaemon: false) }

  /// Ends the connection after handing over what was sent; `nextAssignment` returns `nil` from now
  /// on.
  public func close() { line.close() }
}

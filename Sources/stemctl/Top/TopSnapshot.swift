import Foundation
import JobQueue
import Messaging

/// What `top` shows: the daemon at one moment.
struct TopSnapshot: Sendable {
  var status: DaemonStatus
  var running: [Job]
  /// Those that were accepted first.
  var waiting: [Job]
  /// Those that were accepted last, of which some may have ended before others.
  var ended: [Job]
  /// Bytes that each worker of this machine shares with nobody, by its process.
  var memory: [Int32: Int] = [:]
  /// When that was, by the clock on the wall.
  var taken = Date()
  /// Why the daemon could not be asked since.
  var failure: String?

  /// Seconds between two of them.
  static let interval = 1.0
  private static let mostWaiting = 100
  private static let mostEnded = 100

  /// - Parameter isElsewhere: whether its workers are not this machine's processes.
  init(from client: ControlClient, isElsewhere: Bool) throws {
    // Well below the time after which a person thinks that nothing goes on any more.
    func ask(_ request: ControlRequest) throws -> ControlReply {
      let reply = try client.request(request, timeout: 3)
      if case .error(let refusal) = reply { throw refusal }
      return reply
    }
    func jobs(_ filter: JobFilter) throws -> [Job] {
      guard case .jobs(let jobs, _) = try ask(.list(filter)) else {
        throw CommandFailure.unexpectedAnswer
      }
      return jobs
    }
    guard case .daemon(let status) = try ask(.status(job: nil)) else {
      throw CommandFailure.unexpectedAnswer
    }
    self.init(
      status: status,
      running: try jobs(JobFilter(states: [.running], limit: JobFilter.longestList)),
      waiting: try jobs(
        JobFilter(states: [.queued], order: .oldest, limit: Self.mostWaiting)),
      ended: try jobs(JobFilter(states: [.done, .failed, .cancelled], limit: Self.mostEnded)))
    if !isElsewhere {
      for worker in status.workers ?? [] where !worker.remote {
        memory[worker.pid] = Self.privateBytes(ofWorker: worker.pid)
      }
    }
  }

  init(status: DaemonStatus, running: [Job], waiting: [Job], ended: [Job]) {
    (self.status, self.running, self.waiting, self.ended) = (status, running, waiting, ended)
  }

  /// `nil` where the process is gone, is another program or not to be seen.
  private static func privateBytes(ofWorker process: Int32) -> Int? {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
    else { return nil }
    let lines = text.split(separator: "\n")
    // Another container's processes have numbers of their own.
    guard lines.first?.hasSuffix("stem-worker") == true else { return nil }
    let kibibytes = ["RssAnon:", "VmSwap:"].compactMap { name in
      lines.first { $0.hasPrefix(name) }.flatMap { Int($0.filter(\.isNumber)) }
    }
    return kibibytes.isEmpty ? nil : kibibytes.reduce(0, +) << 10
  }
}

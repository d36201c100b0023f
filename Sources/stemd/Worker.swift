import EditSettings
import Foundation
import JobQueue
import Messaging

/// A worker that has introduced itself, the daemon's own or another.
struct Worker {
  let name: String
  let pid: pid_t
  let threads: Int
  /// Which of the daemon's worker sockets it is connected to; the first one is for this machine.
  let socket: Int
  /// Whether it sees the spool's files itself.
  let seesSpool: Bool
  /// What it is known by, on another machine.
  var key: PeerKey?
  var lastHeard: ContinuousClock.Instant
  /// Jobs in a row that it could not do.
  var unfitInRow = 0
  /// Until when it gets no job, because it could not do the last ones.
  var restsUntil: ContinuousClock.Instant?
  var work: Work?

  /// The job that it was given.
  struct Work {
    let assignment: Assignment
    let client: String
    let began: ContinuousClock.Instant
    /// Seconds that the job ran in earlier attempts.
    let ranBefore: Double
    var given: ContinuousClock.Instant
    var timesGiven = 1
    var progress: EditProgress?
    /// Where the last checkpoint of this attempt stands, and since when.
    var checkpoint: (progress: EditProgress, at: ContinuousClock.Instant)?
    /// Seconds since its computation last moved on, as the worker says.
    var quiet = 0.0
    /// It got further than any attempt before.
    var hasProgressed = false
    private(set) var logLines = 0
    /// When it was told to cancel it.
    var cancelled: ContinuousClock.Instant?
    /// The limit that it exceeded, as a sentence.
    var exceeded: String?

    /// Scalars of a worker's sentence, and lines of its log, beyond which nobody reads.
    static let longestText = 4000
    private static let mostLogLines = 10_000

    /// By scalars: a Character may hold any number of them.
    static func shortened(_ text: String) -> String {
      String(String.UnicodeScalarView(text.unicodeScalars.prefix(longestText)))
    }

    /// The line as it is to be logged; `nil` beyond a number of them.
    mutating func nextLogLine(_ text: String) -> String? {
      logLines += 1
      guard logLines <= Self.mostLogLines else { return nil }
      return logLines < Self.mostLogLines
        ? Self.shortened(text) : "further lines of this attempt are not logged"
    }

    func ran(until now: ContinuousClock.Instant) -> Double { (now - began) / .seconds(1) }
  }

  var identity: Data { Data(name.utf8) }
  var status: WorkerStatus {
    WorkerStatus(
      name: name, pid: pid, threads: threads, remote: !seesSpool, job: work?.assignment.job,
      progress: work?.progress)
  }
}

extension EditProgress {
  /// Whether an edit that stands here is further than one that stood there.
  func isBeyond(_ other: EditProgress?) -> Bool {
    guard let other else { return true }
    let stages = Stage.allCases
    let (own, others) = (stages.firstIndex(of: stage) ?? 0, stages.firstIndex(of: other.stage) ?? 0)
    return own > others || own == others && step > other.step
  }
}

extension EditFigures {
  /// A worker elsewhere may send anything; this goes into the store and its sums.
  var withoutNonsense: EditFigures {
    var figures = self
    figures.seconds = seconds.filter { name, value in
      EditProgress.Stage(rawValue: name) != nil && (0...1e9).contains(value)
    }
    if precision == .auto { figures.precision = nil }
    return figures
  }
}

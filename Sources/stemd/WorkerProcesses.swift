import Foundation
import Journal
import Logging

/// The worker processes that the daemon keeps: starts them, and starts them again when they exit.
final class WorkerProcesses {
  private struct Place {
    let number: Int
    var process: (pid: pid_t, threads: Int, started: ContinuousClock.Instant, isKilled: Bool)?
    /// There are to be fewer workers.
    var isSurplus = false
    /// It was told to stop.
    var isLetGo = false
    var pause = WorkerTimes.restartPauses.lowerBound
    var startAt: ContinuousClock.Instant

    var name: String { "worker-\(number)" }
  }

  /// A process that has ended.
  struct Ended {
    var name: String
    var pid: pid_t
    /// "exited with status 1", "was killed by signal 9 (Killed)".
    var how: String
    /// Somebody else killed it: neither this daemon nor the kernel for want of memory.
    var isKilledFromOutside: Bool
    /// It was told to, and left in peace; or it was killed by this daemon, which said why.
    var isExpected: Bool
  }

  private var program: WorkerProgram
  /// That each computes with.
  var threads: Int { program.threads }
  private let endpoint: String
  private let logger: Logger
  private var places: [Place]
  private var isStopping = false
  /// Processes that the kernel had killed for want of memory when that was last looked at.
  private var knownKills = MemoryUse.killsForWantOfMemory

  init(
    count: Int, program: WorkerProgram, endpoint: String, logger: Logger,
    now: ContinuousClock.Instant
  ) {
    self.program = program
    self.endpoint = endpoint
    self.logger = logger
    places = (0..<count).map { Place(number: $0 + 1, startAt: now) }
  }

  /// When `startDue` has something to start.
  var nextStart: ContinuousClock.Instant? {
    isStopping ? nil : places.lazy.filter { $0.process == nil }.map(\.startAt).min()
  }

  /// From now on there are to be so many, with so many threads each.
  func set(count: Int, threads: Int, now: ContinuousClock.Instant) {
    program.threads = threads
    for index in places.indices { places[index].isSurplus = places[index].number > count }
    places.removeAll { $0.isSurplus && $0.process == nil }
    let known = Set(places.map(\.number))
    places += (0..<count).map { $0 + 1 }.filter { !known.contains($0) }.map {
      Place(number: $0, startAt: now)
    }
  }

  /// Those that are to end when they have no job, because there are too many or they have another
  /// number of threads than they should.
  var leaving: Set<String> {
    Set(
      places.lazy.filter { place in
        guard let process = place.process else { return false }
        return place.isSurplus || place.isLetGo || process.threads != self.program.threads
      }.map(\.name))
  }

  /// It was told to stop.
  func letGo(_ name: String) {
    if let index = places.firstIndex(where: { $0.name == name }) { places[index].isLetGo = true }
  }

  var isEmpty: Bool { places.allSatisfy { $0.process == nil } }

  /// Whether it is the name of one of the daemon's own workers.
  func has(_ name: String) -> Bool { places.contains { $0.name == name } }

  func pid(of name: String) -> pid_t? { places.first { $0.name == name }?.process?.pid }

  /// The processes that were not killed, and since when they run.
  func startTimes() -> [(name: String, pid: pid_t, started: ContinuousClock.Instant)] {
    places.compactMap { place in
      place.process.flatMap { $0.isKilled ? nil : (place.name, $0.pid, $0.started) }
    }
  }

  func startDue(now: ContinuousClock.Instant) {
    guard !isStopping else { return }
    for index in places.indices where places[index].process == nil && places[index].startAt <= now {
      do {
        let pid = try program.start(name: places[index].name, endpoint: endpoint)
        places[index].process = (pid, program.threads, now, false)
        logger.info(
          "worker started as process \(pid)", metadata: ["worker": "\(places[index].name)"])
      } catch {
        logger.log(
          .workerNotStarted, "\(error)", metadata: ["worker": "\(places[index].name)"])
        postpone(index, now: now)
      }
    }
  }

  /// Takes note of those that have ended, and when to start them again.
  func reap(now: ContinuousClock.Instant) -> [Ended] {
    var ended: [Ended] = []
    for index in places.indices {
      guard let process = places[index].process else { continue }
      var status: Int32 = 0
      guard waitpid(process.pid, &status, WNOHANG) == process.pid else { continue }
      let kills = MemoryUse.killsForWantOfMemory
      let isOutside = status & 0x7f == SIGKILL && !process.isKilled && kills == knownKills
      knownKills = kills
      ended.append(
        Ended(
          name: places[index].name, pid: process.pid, how: Self.describe(status),
          isKilledFromOutside: isOutside,
          isExpected: process.isKilled || places[index].isLetGo && status == 0))
      places[index].process = nil
      if places[index].isLetGo {
        (places[index].isLetGo, places[index].startAt) = (false, now)
        continue
      }
      if now - process.started >= WorkerTimes.youth {
        places[index].pause = WorkerTimes.restartPauses.lowerBound
      }
      postpone(index, now: now)
    }
    places.removeAll { $0.isSurplus && $0.process == nil }
    return ended
  }

  /// Ends a process at once; its end is noticed by `reap`.
  func kill(_ name: String) {
    guard let index = places.firstIndex(where: { $0.name == name }),
      let process = places[index].process
    else { return }
    Foundation.kill(process.pid, SIGKILL)
    places[index].process?.isKilled = true
  }

  /// From now on nothing is started again.
  func stop() { isStopping = true }

  func killAll() {
    for place in places { kill(place.name) }
  }

  private func postpone(_ index: Int, now: ContinuousClock.Instant) {
    places[index].startAt = now + places[index].pause
    places[index].pause = min(places[index].pause * 2, WorkerTimes.restartPauses.upperBound)
  }

  private static func describe(_ status: Int32) -> String {
    let signal = status & 0x7f
    if signal == 0 { return "exited with status \(status >> 8 & 0xff)" }
    return "was killed by signal \(signal) (\(String(cString: strsignal(signal))))"
  }
}

import EditSettings
import Foundation
import JobQueue
import Messaging
import Testing

@testable import stemctl

@Suite struct TopScreenTests {
  private let now = Date(timeIntervalSince1970: 1_700_000_000)

  private func job(_ number: Int, _ state: JobState, _ name: String = "ball") -> Job {
    var job = Job(
      id: JobID(rawValue: "1jdkfs6tz9y\(10 + number)"), name: name, sourceName: "\(name).mp4",
      state: state, client: "user:ada", settings: nil, submitted: now - 100 - Double(number))
    if state.isFinal {
      (job.started, job.finished) = (now - 90, now - 45 + Double(number))
    }
    if state == .failed { job.error = "the clip is no video: give another one" }
    return job
  }

  private func snapshot(workers: Int, busy: Int, waiting: Int, ended: Int) -> TopSnapshot {
    let running = (0..<busy).map { job($0, .running, $0 == 1 ? "日本語のクリップ" : "ball-\($0)") }
    var snapshot = TopSnapshot(
      status: DaemonStatus(
        version: "0.1.0", pid: 7, started: now - 7500, mode: .running,
        jobs: ["queued": waiting, "running": busy, "done": ended],
        workers: (0..<workers).map {
          WorkerStatus(
            name: "worker-\($0 + 1)", pid: Int32(100 + $0), threads: 2,
            job: $0 < busy ? running[$0].id : nil,
            progress: $0 < busy
              ? EditProgress(
                stage: .encodeLatents, step: 12, steps: 50, frames: 16, secondsLeft: 80, share: 0.25
              )
              : nil)
        }), running: running, waiting: (0..<min(waiting, 100)).map { job($0, .queued) },
      ended: (0..<ended).map { job($0, $0 == 0 ? .failed : .done) })
    snapshot.memory = [100: 123 << 20]
    snapshot.taken = now
    return snapshot
  }

  private func lines(_ snapshot: TopSnapshot, _ columns: Int?, _ rows: Int?) -> [String] {
    TopScreen(snapshot: snapshot, now: now).lines(columns: columns, rows: rows).map(\.text)
  }

  @Test("a wide screen has the daemon, the workers, what waits and what ended last")
  func wide() {
    let shown = lines(snapshot(workers: 2, busy: 1, waiting: 2, ended: 2), 120, 24)
    #expect(shown.count == 24)
    #expect(shown[0].hasPrefix("stemd 0.1.0  running  up 2 h 5 min"))
    #expect(
      shown[1].hasPrefix(
        "2 queued  1 running  2 done  0 failed  0 cancelled  the oldest has waited 1 min"))
    #expect(shown[3].hasPrefix("WORKER    JOB            CLIP    STAGE"))
    #expect(shown[4].contains("encode latents 12/50  █████░░░░░░░░░░░░░░░   25%  1:20  123 MiB"))
    #expect(shown[5].hasPrefix("worker-2") && shown[5].hasSuffix("idle"))
    #expect(shown[7].hasPrefix("WAITING") && shown[11].hasPrefix("ENDED"))
    // The last one to end is the first.
    #expect(shown[12].contains("done") && shown[13].contains("failed"))
    #expect(shown.last == "q quits")
  }

  @Test("any screen is filled at most, whatever there is to show")
  func fits() {
    for (workers, busy, waiting, ended) in [
      (0, 0, 0, 0), (1, 1, 0, 0), (2, 2, 30, 100), (200, 150, 100_000, 3), (1, 0, 0, 50),
    ] {
      var snapshot = snapshot(workers: workers, busy: busy, waiting: waiting, ended: ended)
      for columns in [1, 20, 60, 80, 120, 200] {
        for rows in [1, 2, 5, 10, 24, 60] {
          snapshot.failure = rows % 2 == 0 ? "stemd does not answer at ipc:///a/b" : nil
          let shown = TopScreen(snapshot: snapshot, now: now).lines(columns: columns, rows: rows)
          #expect(shown.count == rows)
          #expect(shown.allSatisfy { $0.width <= columns }, "\(columns) columns, \(rows) rows")
        }
      }
    }
  }

  @Test("a narrow screen keeps worker, clip, stage, share, time left and memory")
  func narrow() {
    let shown = lines(snapshot(workers: 2, busy: 2, waiting: 0, ended: 0), 60, 24)
    #expect(shown[3].contains("WORKER") && !shown[3].contains("JOB"), "\(shown)")
    #expect(shown[4].contains("ball-0") && shown[4].contains("25%") && shown[4].contains("123 MiB"))
  }

  @Test("many workers leave room for what waits and what ended, and are counted")
  func many() {
    let shown = lines(snapshot(workers: 40, busy: 30, waiting: 500, ended: 5), 120, 24)
    #expect(shown.contains { $0.hasPrefix("WAITING") } && shown.contains { $0.hasPrefix("ENDED") })
    #expect(shown.contains { $0.hasPrefix("  and ") && $0.hasSuffix(" more") })
  }

  @Test("a daemon that is gone is said to be, with what was last known")
  func gone() {
    var snapshot = snapshot(workers: 1, busy: 1, waiting: 0, ended: 0)
    (snapshot.failure, snapshot.taken) = ("stemd does not answer", now - 12)
    let shown = lines(snapshot, 120, 24)
    #expect(shown[2] == "for 12 s trying again: stemd does not answer")
    #expect(shown.contains { $0.contains("worker-1") })
  }

  @Test("without a screen nothing is cut or added")
  func once() {
    let shown = lines(snapshot(workers: 2, busy: 1, waiting: 0, ended: 1), nil, nil)
    #expect(shown.last?.contains("the clip is no video: give another one") == true)
    #expect(!shown.contains("q quits"))
  }
}

import EditSettings
import Foundation
import Glibc
import JobQueue
import Messaging
import Testing

/// What systemd sees of a daemon, and what becomes of stopped and stuck processes.
@Suite(.serialized) struct SystemdServiceTests {
  private func statuses(_ notify: NotifySocket) -> [String] {
    notify.messages.filter { $0.hasPrefix("STATUS=") }.map { String($0.dropFirst(7)) }
  }

  @Test("ready comes when clients, workers and clips get in; the status tells what is being done")
  func status() throws {
    let notify = try NotifySocket()
    let service = try Service(environment: ["NOTIFY_SOCKET": notify.path])
    try service.eventually("it is ready") { notify.messages.contains("READY=1") }
    #expect(
      Array(notify.messages.prefix(2)) == [
        "STATUS=0 queued, 0 running, 0 done, 0 failed", "READY=1",
      ])
    let job = try service.submit("ball", Service.settings(steps: 300))
    try service.submit("next", Service.settings())
    try service.eventually("the status tells of the job, its stage, step and time left") {
      statuses(notify).contains {
        $0.hasPrefix("1 queued, 1 running, 0 done, 0 failed; \(job.id): ")
          && $0.contains(#/: (invert|edit) \d+/300 · 2 frames · .+ left$/#)
      }
    }
    _ = try service.ask(.pause)
    try service.eventually("the status tells of the pause") {
      statuses(notify).last?.hasPrefix("paused: ") == true
    }
    _ = try service.ask(.cancel(job: job.id))
    _ = try service.ask(.resume)
    #expect(try service.finished("next").state == .done)
    try service.eventually("the status tells of its end") {
      statuses(notify).last == "0 queued, 0 running, 1 done, 0 failed"
    }
    // No watchdog, no signs of life.
    #expect(!notify.messages.contains("WATCHDOG=1"))
  }

  @Test("the watchdog is fed while the loop turns, and not while the process stands still")
  func watchdog() throws {
    let notify = try NotifySocket()
    let service = try Service(
      workers: 0, environment: ["NOTIFY_SOCKET": notify.path, "WATCHDOG_USEC": "600000"])
    func signs() -> Int { notify.messages.filter { $0 == "WATCHDOG=1" }.count }
    try service.eventually("it is fed") { signs() >= 3 }
    service.send(SIGSTOP)
    try service.eventually("it stands still") {
      try service.state() == "T"
    }
    let known = signs()
    usleep(1_500_000)
    #expect(signs() == known)
    service.send(SIGCONT)
    try service.eventually("it is fed again") { signs() >= known + 3 }
  }

  @Test(
    "a stop leaves a checkpoint of a running job, tells systemd, and the job goes on from there")
  func stop() throws {
    let notify = try NotifySocket()
    // But for the stop there would be no checkpoint.
    let service = try Service(
      options: ["--checkpoint-interval", "3600"], environment: ["NOTIFY_SOCKET": notify.path])
    let settings = Service.settings(steps: 30, frames: 4)
    try service.submit("undisturbed", settings)
    #expect(try service.finished("undisturbed").state == .done)
    try FileManager.default.removeItem(at: service.folders.cache.appending(path: "inversions"))
    try service.submit("stopped", settings)
    try service.eventually("it is being edited") {
      try service.workerStatuses().contains {
        $0.progress?.stage == .edit && ($0.progress?.step ?? 0) > 2
      }
    }
    service.send(SIGTERM)
    #expect(service.exitStatus() == 0)
    try service.eventually("systemd hears of it") {
      notify.messages.contains("STOPPING=1")
        && notify.messages.contains("STATUS=stopping: 1 job leaves its checkpoint")
    }
    #expect(!service.log.contains("killed"), "\(service.log)")
    try service.start()
    let job = try service.finished("stopped")
    #expect(job.state == .done && job.attempts == 2)
    let log = try service.content("stopped/job.log")
    #expect(log.contains("continues at edit"), "\(log)")
    #expect(
      try Data(contentsOf: URL(filePath: service.outbox("stopped/edited.mp4")))
        == Data(contentsOf: URL(filePath: service.outbox("undisturbed/edited.mp4"))))
  }

  @Test(
    "a worker that somebody ends leaves a checkpoint, and its job goes on from there, blameless")
  func endedWorker() throws {
    let service = try Service(options: ["--checkpoint-interval", "3600"])
    try service.submit("ball", Service.settings(steps: 60, frames: 4))
    try service.eventually("it is being edited") {
      try service.workerStatuses().contains { ($0.progress?.step ?? 0) > 2 }
    }
    Glibc.kill(try #require(try service.workerStatuses().first?.pid), SIGTERM)
    let job = try service.finished("ball")
    #expect(job.state == .done && job.attempts == 2)
    let log = try service.content("ball/job.log")
    #expect(log.contains("interrupted: its worker was told to end"), "\(log)")
    #expect(log.contains("continues at "), "\(log)")
  }

  @Test("a drain asks systemd for patience while a job runs")
  func drain() throws {
    let notify = try NotifySocket()
    let service = try Service(environment: ["NOTIFY_SOCKET": notify.path])
    try service.submit("ball", Service.settings(steps: 60))
    try service.eventually("it runs") { try service.job(named: "ball")?.state == .running }
    _ = try service.ask(.drain)
    #expect(service.exitStatus() == 0)
    try service.eventually("systemd hears of it") { notify.messages.contains("STOPPING=1") }
    #expect(notify.messages.contains("EXTEND_TIMEOUT_USEC=30000000"))
    #expect(statuses(notify).contains { $0.hasPrefix("draining: ") })
  }

  @Test(
    "a worker that stands still is killed, its job is done by another attempt, and others go on")
  func stoppedWorker() throws {
    let service = try Service(workers: 2)
    try service.submit("stopped", Service.settings(steps: 200))
    try service.eventually("it is being worked on") {
      try service.workerStatuses().contains { ($0.progress?.step ?? 0) > 1 }
    }
    let worker = try #require(try service.workerStatuses().first { $0.job != nil })
    Glibc.kill(worker.pid, SIGSTOP)
    try service.submit("other", Service.settings(steps: 2))
    let other = try service.finished("other")
    #expect(other.state == .done && other.attempts == 1)
    let job = try service.finished("stopped")
    #expect(job.state == .done && job.attempts == 2)
    #expect(try service.content("stopped/job.log").contains("\(worker.name) died: it was silent"))
    #expect(kill(worker.pid, 0) != 0)
  }

  @Test("a computation that hangs is found though its worker's heart beats, and is tried again")
  func hungComputation() throws {
    // A model whose weights this process has on loan: whoever opens them waits until they are given back,
    // or the system ends the loan, by default after 45 seconds.
    let models = FileManager.default.temporaryDirectory.appending(
      path: "stemd-models-\(UUID().uuidString.prefix(8))")
    defer { try? FileManager.default.removeItem(at: models) }
    let real = Service.models.appending(path: "tiny-world")
    let weights = "vae/diffusion_pytorch_model.safetensors"
    let lent = models.appending(path: "hanging/\(weights)")
    try FileManager.default.createDirectory(
      at: models.appending(path: "hanging/vae"), withIntermediateDirectories: true)
    for name in [
      "model_index.json", "scheduler", "text_encoder", "tokenizer", "unet", "vae/config.json",
    ] {
      try FileManager.default.createSymbolicLink(
        at: models.appending(path: "hanging/\(name)"),
        withDestinationURL: real.appending(path: name))
    }
    try FileManager.default.createSymbolicLink(
      at: models.appending(path: "tiny-world"), withDestinationURL: real)
    try FileManager.default.copyItem(at: real.appending(path: weights), to: lent)
    let loan = open(lent.path, O_RDWR | O_CLOEXEC)
    #expect(loan >= 0)
    defer { close(loan) }
    // By default a lender is killed when the file is asked for; this signal does nothing.
    #expect(fcntl(loan, FileLease.setSignal, SIGURG) == 0)
    #expect(fcntl(loan, FileLease.set, F_WRLCK) == 0)
    let service = try Service(
      workers: 2, options: ["--models", models.path], configuration: "limits: {stall_time: 3}")

    var settings = Service.settings(steps: 100)
    try service.submit("other", settings)
    settings.model = "hanging"
    try service.submit("hung", settings)
    try service.eventually("it is taken for stuck") {
      service.log.contains("hung: it did not move")
    }
    // The next attempt can open them.
    #expect(fcntl(loan, FileLease.set, F_UNLCK) == 0)
    let hung = try service.finished("hung")
    #expect(hung.state == .done && hung.attempts == 2, "\(service.log)")
    let other = try service.finished("other")
    #expect(other.state == .done && other.attempts == 1)
    #expect(
      try service.content("hung/job.log").contains(
        "longer than the limit 'stall_time' allows"))
  }
}

/// Commands of fcntl(2) that Swift does not see, as they need `_GNU_SOURCE`.
private enum FileLease {
  static let setSignal: Int32 = 10
  static let set: Int32 = 1024
}

import Foundation
import JobQueue
import Testing
import VideoFile

@Suite(.serialized) struct EditingServiceTests {
  @Test(
    "a clip and its sidecar, in either order, become an edited clip with its source, report and log",
    arguments: [true, false])
  func pairBecomesResult(clipFirst: Bool) throws {
    let service = try Service()
    let clip = try Service.clip.get()
    let drops = [
      { service.drop("ball.mp4", clip) }, { service.drop("ball.yaml", Service.sidecar()) },
    ]
    for drop in clipFirst ? drops : drops.reversed() { drop() }
    let job = try service.finished("ball")
    #expect(job.state == .done, "\(job.error ?? "")")
    #expect(
      service.names(service.folders.outbox.appending(path: "ball")) == [
        "comparison.mp4", "edited.mp4", "job.log", "poster.png", "report.html", "result.json",
        "sidecar.yaml", "source.mp4",
      ])
    #expect(try Data(contentsOf: URL(filePath: service.outbox("ball/source.mp4"))) == clip)
    let edited = try VideoProcess(program: Service.program("stem-worker")).decode(
      path: service.outbox("ball/edited.mp4"), options: .init(size: .source))
    #expect((edited.frameCount, edited.width, edited.height) == (2, 64, 64))
    #expect(edited.timing.frameRate.value == 8)
    let result = try service.result("ball")
    #expect(result["state"] as? String == "done")
    #expect((result["figures"] as? [String: Any])?["frames"] as? Int == 2)
    #expect(
      (result["settings"] as? [String: Any])?["prompt"] as? String == "a photo of a purple ball")
    #expect(
      try String(contentsOfFile: service.outbox("ball/job.log"), encoding: .utf8).contains(
        "accepted"))
    try service.eventually("the work folder is cleared") {
      service.names(service.folders.work).isEmpty
    }
    #expect(service.names(service.folders.inbox).isEmpty)
  }

  @Test("a text sidecar gives both prompts")
  func textSidecar() throws {
    let service = try Service()
    service.drop("ball.txt", "a red ball => a blue ball")
    service.drop("ball.mp4", try Service.clip.get())
    try service.eventually("it is accepted") { try service.job(named: "ball") != nil }
    let settings = try service.job(named: "ball")?.settings
    #expect(settings?.sourcePrompt == "a red ball" && settings?.prompt == "a blue ball")
  }

  @Test(
    "further sidecars are further edits of the same clip, and a name that is taken gets a number")
  func furtherEdits() throws {
    let service = try Service()
    service.drop("ball.2.yaml", Service.sidecar())
    service.drop("ball.yaml", Service.sidecar())
    service.drop("ball.mp4", try Service.clip.get())
    #expect(try service.finished("ball").state == .done)
    #expect(try service.finished("ball.2").outboxName == "ball.2")
    service.drop("ball.mp4", try Service.clip.get())
    service.drop("ball.yaml", Service.sidecar())
    try service.eventually("the second clip is delivered") {
      service.names(service.folders.outbox).contains("ball-2")
    }
    #expect(service.names(service.folders.outbox) == ["ball", "ball-2", "ball.2"])
  }

  @Test("two workers edit two clips at once; a killed worker's job is done by a worker again")
  func killedWorker() throws {
    let service = try Service(workers: 2)
    for name in ["one", "two"] {
      service.drop("\(name).mp4", try Service.clip.get())
      service.drop("\(name).yaml", Service.sidecar(steps: 60))
    }
    try service.eventually("both are being edited") {
      try service.workerStatuses().filter { ($0.progress?.step ?? 0) > 1 }.count == 2
    }
    let victim = try #require(try service.workerStatuses().first { $0.job != nil })
    let name = try #require(try service.jobs().first { $0.id == victim.job }?.name)
    kill(victim.pid, SIGKILL)
    for name in ["one", "two"] { #expect(try service.finished(name).state == .done) }
    #expect(try service.result(name)["attempts"] as? Int == 2)
    #expect(service.names(service.folders.outbox) == ["one", "two"])
    #expect(try service.workerStatuses().count == 2)
  }

  @Test("a daemon that is killed in the middle of a job does it after its next start, once")
  func killedDaemon() throws {
    let service = try Service()
    service.drop("ball.mp4", try Service.clip.get())
    service.drop("ball.yaml", Service.sidecar(steps: 40))
    try service.eventually("it is being edited") {
      try service.workerStatuses().contains { ($0.progress?.step ?? 0) > 1 }
    }
    service.kill(daemonWith: SIGKILL)
    try service.start()
    #expect(try service.finished("ball").state == .done)
    #expect(try service.result("ball")["attempts"] as? Int == 2)
    #expect(service.names(service.folders.outbox) == ["ball"])
    #expect(try service.jobs().count == 1)
  }

  @Test(
    "a daemon that is asked to stop does so at once, and goes on with the job at its next start")
  func stoppedDaemon() throws {
    let service = try Service()
    service.drop("ball.mp4", try Service.clip.get())
    service.drop("ball.yaml", Service.sidecar(steps: 40))
    try service.eventually("it is being edited") {
      try service.workerStatuses().contains { $0.progress != nil }
    }
    service.kill(daemonWith: SIGTERM)
    try service.start()
    #expect(try service.finished("ball").state == .done)
  }

  @Test("a second daemon on the same root is refused")
  func secondDaemon() throws {
    let service = try Service()
    let second = Process()
    second.executableURL = Service.program("stemd")
    second.arguments = ["--root", service.folders.root.path(percentEncoded: false)]
    second.standardError = FileHandle.nullDevice
    try second.run()
    second.waitUntilExit()
    #expect(second.terminationStatus != 0)
    try service.eventually("the first one works on") { try service.workerStatuses().count == 1 }
  }
}

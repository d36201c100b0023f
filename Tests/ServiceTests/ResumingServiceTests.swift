import EditSettings
import Foundation
import Glibc
import JobQueue
import Messaging
import Testing

@Suite(.serialized) struct ResumingServiceTests {
  private func edited(_ service: Service, _ name: String) throws -> Data {
    try Data(contentsOf: URL(filePath: service.outbox(name + "/edited.mp4")))
  }

  @Test(
    "a job whose worker or daemon is killed goes on from its checkpoint, to the same bits",
    arguments: ["worker", "daemon"])
  func killed(victim: String) throws {
    let service = try Service(options: ["--checkpoint-interval", "0"])
    let settings = Service.settings(steps: 30, frames: 4)
    try service.submit("undisturbed", settings)
    #expect(try service.finished("undisturbed").state == .done)
    // The kept inversion would leave too little to interrupt.
    try FileManager.default.removeItem(at: service.folders.cache.appending(path: "inversions"))
    try service.submit("killed", settings)
    try service.eventually("it is being edited") {
      try service.workerStatuses().contains {
        $0.progress?.stage == .edit && ($0.progress?.step ?? 0) > 2
      }
    }
    if victim == "worker" {
      Glibc.kill(try #require(try service.workerStatuses().first?.pid), SIGKILL)
    } else {
      service.kill(daemonWith: SIGKILL)
      try service.start()
    }
    #expect(try service.finished("killed").state == .done)
    #expect(try edited(service, "killed") == edited(service, "undisturbed"))
    let log = try service.content("killed/job.log")
    #expect(log.contains("continues at edit"), "\(log)")
    #expect(service.names(service.folders.work).isEmpty)
  }

  @Test("the same clip with another target prompt is not inverted again, and comes out the same")
  func reusedInversion() throws {
    let service = try Service()
    try service.submit("first", Service.settings("a photo of a purple ball", steps: 4))
    #expect(try service.finished("first").state == .done)
    try service.submit("second", Service.settings("a photo of a green ball", steps: 4))
    #expect(try service.finished("second").state == .done)
    func reused(_ name: String) throws -> Bool? {
      (try service.result(name)["figures"] as? [String: Any])?["inversion_reused"] as? Bool
    }
    #expect(try reused("first") == false && reused("second") == true)
    try FileManager.default.removeItem(at: service.folders.cache.appending(path: "inversions"))
    try service.submit("anew", Service.settings("a photo of a green ball", steps: 4))
    #expect(try service.finished("anew").state == .done)
    #expect(try edited(service, "anew") == edited(service, "second"))
  }

  @Test("a running job that is cancelled stops at its next step, and its folder says so")
  func cancelled() throws {
    let service = try Service()
    let job = try service.submit("ball", Service.settings(steps: 500))
    try service.eventually("it is being edited") {
      try service.workerStatuses().contains { ($0.progress?.step ?? 0) > 1 }
    }
    _ = try service.ask(.cancel(job: job.id))
    #expect(try service.finished("ball").state == .cancelled)
    try service.eventually("it is delivered") { service.names(service.folders.outbox) == ["ball"] }
    #expect(try service.result("ball")["state"] as? String == "cancelled")
    #expect(try service.content("ball/job.log").contains("cancelled; delivered"))
    #expect(
      service.names(service.folders.outbox.appending(path: "ball")) == [
        "job.log", "report.html", "result.json", "source.mp4",
      ])
  }

  @Test(
    "a job that fails three times for what might have passed is quarantined, and can be repeated")
  func quarantined() throws {
    let service = try Service(workers: 0)
    let worker = try WorkerConnection(
      endpoint: service.folders.workerEndpoint, name: "w", threads: 1)
    defer { worker.close() }
    let job = try service.submit("ball", Service.settings())
    for _ in 1...3 {
      let assignment = try #require(worker.nextAssignment())
      #expect(assignment.job == job.id)
      worker.send(.failed(job: job.id, error: "memory is short", mayPass: true))
    }
    let failed = try service.finished("ball")
    #expect(failed.state == .failed && failed.isQuarantined && failed.attempts == 3)
    #expect(failed.error == "memory is short (tried 3 times)")
    try service.eventually("it is delivered") { service.names(service.folders.outbox) == ["ball"] }
    #expect(try service.result("ball")["quarantined"] as? Bool == true)
    #expect(try service.content("ball/job.log").contains("stemctl retry \(job.id)"))
    guard case .job(let again, _) = try service.ask(.retry(job: job.id)) else {
      throw Service.Unexpected()
    }
    #expect(again.retryOf == job.id && again.state == .queued)
    #expect(worker.nextAssignment()?.job == again.id)
  }
}

import EditSettings
import Foundation
import Messaging
import Testing

@Suite(.serialized) struct PrecisionServiceTests {
  private func settings(_ precision: PrecisionSetting?) -> EditSettings {
    var settings = Service.settings()
    settings.precision = precision
    return settings
  }

  @Test(
    "a worker, wherever it is, gets the job's own precision or the daemon's, and the job stays as it was asked for",
    arguments: [("", PrecisionSetting.auto), ("precision: full\n", .full)], [true, false])
  func assigned(configured: (text: String, precision: PrecisionSetting), spool: Bool) throws {
    let service = try Service(workers: 0, configuration: configured.text)
    let worker = try WorkerConnection(
      endpoint: service.folders.workerEndpoint, name: "w", threads: 1, spool: spool)
    defer { worker.close() }
    for (name, own) in [("own", PrecisionSetting.mixed), ("none", nil)] {
      let job = try service.submit(name, settings(own))
      let assignment = try #require(worker.nextAssignment())
      #expect(assignment.job == job.id)
      #expect(assignment.settings == settings(own ?? configured.precision))
      #expect(try service.job(named: name)?.settings == settings(own))
      worker.send(.failed(job: job.id, error: "no", mayPass: false))
      _ = try service.finished(name)
    }
  }

  @Test(
    "a job's folder says in what it was computed, and why where that was not what was asked for",
    // In the second, oneDNN takes the processor for one without bf16.
    arguments: [[:], ["ONEDNN_MAX_CPU_ISA": "AVX2"]])
  func told(environment: [String: String]) throws {
    let service = try Service(environment: environment)
    let sentence = "computes in full precision, for this machine's processor does not support mixed"
    var (computed, explained): ([String: String], [String: Bool]) = ([:], [:])
    // One worker does them all, and has the model of the one before at hand.
    for name in ["mixed", "full", "auto"] {
      service.drop("\(name).yaml", Service.sidecar() + "precision: \(name)\n")
      service.drop("\(name).mp4", try Service.clip.get())
      #expect(try service.finished(name).state == .done)
      try service.eventually("it is delivered") { try service.job(named: name)?.outboxName != nil }
      let result = try service.result(name)
      #expect((result["settings"] as? [String: Any])?["precision"] as? String == name)
      computed[name] = (result["figures"] as? [String: Any])?["precision"] as? String
      explained[name] = try service.content("\(name)/job.log").contains(sentence)
    }
    // Whether this machine's processor supports mixed is not for the test to know.
    let isSupported = environment.isEmpty && explained["mixed"] == false
    let best = isSupported ? "mixed" : "full"
    #expect(computed == ["mixed": best, "full": "full", "auto": best])
    #expect(explained == ["mixed": !isSupported, "full": false, "auto": false])
  }
}

import EditSettings
import Foundation
import JobQueue
import Messaging
import Testing

@Suite(.serialized) struct HostileServiceTests {
  /// What a stranger's program sends: any frames, as a worker or a client.
  final class Stranger {
    let socket: MessageSocket

    init(_ endpoint: String, name: String? = nil) throws {
      socket = try MessageSocket(.dealer, context: MessagingContext(), routingID: name)
      try socket.connect(endpoint)
    }

    func say(_ json: String, body: Data? = nil) throws {
      _ = try socket.send(
        [ProtocolVersion.frame, Data(json.utf8)] + (body.map { [$0] } ?? []))
    }

    /// The next answer that is no event.
    func answer() throws -> [String: Any] {
      let deadline = ContinuousClock.now + .seconds(30)
      while ContinuousClock.now < deadline {
        guard let frames = try socket.receive() else {
          _ = try Poller.wait(for: [.socket(socket)], milliseconds: 1000)
          continue
        }
        let object = try JSONSerialization.jsonObject(with: frames[1])
        guard let answer = object as? [String: Any] else { throw Service.Unexpected() }
        if answer["type"] as? String != "event" { return answer }
      }
      throw Service.Unexpected()
    }
  }

  @Test(
    "whatever numbers and texts a worker sends, the daemon goes on and others get their answers")
  func worker() throws {
    let service = try Service(workers: 0)
    let job = try service.submit("ball", Service.settings())
    let worker = try Stranger(service.folders.workerEndpoint, name: "w")
    try worker.say(#"{"type":"ready","pid":1,"threads":1,"spool":false}"#)
    try service.eventually("it has the job") { try service.job(named: "ball")?.state == .running }
    let numbers = ["-9223372036854775808", "9223372036854775807", "-1", "0", "1e300", "1.5"]
    for offset in numbers {
      for bytes in numbers {
        try worker.say(
          #"{"type":"put","job":"\#(job.id)","file":"edited.mp4","offset":\#(offset),"bytes":\#(bytes)}"#,
          body: Data([1]))
        try worker.say(
          #"{"type":"get","job":"\#(job.id)","file":"source","offset":\#(offset)}"#)
        try worker.say(
          #"{"type":"progress","job":"\#(job.id)","progress":{"stage":"edit","step":\#(offset),"steps":\#(bytes),"frames":\#(bytes),"seconds_left":\#(bytes)}}"#
        )
      }
    }
    for file in ["../../../etc/passwd", "/etc/passwd", "checkpoint/../source", "", "result"] {
      try worker.say(#"{"type":"get","job":"\#(job.id)","file":"\#(file)","offset":0}"#)
    }
    let long = String(repeating: #"\u0001"#, count: 100_000)
    for _ in 0..<20 {
      try worker.say(
        #"{"type":"log","job":"\#(job.id)","level":"info","message":"\#(long)"}"#)
    }
    try worker.say(
      #"{"type":"failed","job":"\#(job.id)","error":"\#(long)","may_pass":false}"#)
    let failed = try service.finished("ball")
    #expect(failed.error?.count == 4000)
    guard case .stats = try service.ask(.stats) else { throw Service.Unexpected() }
    try service.eventually("it is delivered") { service.names(service.folders.outbox) == ["ball"] }
    #expect(try service.content("ball/job.log").utf8.count < 1 << 20)
  }

  @Test("a job whose workers are cut off again and again is tried ever more rarely, not for ever")
  func interruptions() throws {
    let service = try Service(workers: 0)
    let job = try service.submit("ball", Service.settings())
    // A worker that begins anew under its name, as after a crash of its machine.
    for number in 1...4 {
      let worker = try Stranger(service.folders.workerEndpoint, name: "w")
      try worker.say(#"{"type":"ready","pid":\#(number),"threads":1,"spool":true}"#)
      try service.eventually("attempt \(number) begins") {
        let job = try service.job(named: "ball")
        return job?.attempts == number && job?.state == .running
      }
    }
    _ = job
    #expect(service.log.contains("was replaced"))
    #expect(try service.job(named: "ball")?.isQuarantined == false)
  }

  @Test("a worker that cannot do a job leaves it to another one, and rests")
  func unfitWorker() throws {
    let service = try Service(workers: 0)
    let unfit = try Stranger(service.folders.workerEndpoint, name: "a")
    try unfit.say(#"{"type":"ready","pid":1,"threads":1,"spool":true}"#)
    try service.eventually("it is known") { try service.workerStatuses().count == 1 }
    let job = try service.submit("ball", Service.settings())
    try service.eventually("it has the job") { try service.job(named: "ball")?.worker == "a" }
    try unfit.say(
      #"{"type":"failed","job":"\#(job.id)","error":"no such model here","may_pass":true,"reason":"worker_unfit"}"#
    )
    try service.eventually("the job waits") { try service.job(named: "ball")?.state == .queued }
    usleep(300_000)
    #expect(try service.job(named: "ball")?.state == .queued)
    let fit = try Stranger(service.folders.workerEndpoint, name: "b")
    try fit.say(#"{"type":"ready","pid":2,"threads":1,"spool":true}"#)
    try service.eventually("another has it") { try service.job(named: "ball")?.worker == "b" }
    // It was this one job: others it may do.
    try service.submit("second", Service.settings())
    try service.eventually("it has another job") {
      try service.job(named: "second")?.worker == "a"
    }
  }

  @Test("a worker whose last words are not understood does not keep its job for ever")
  func strangeOutcome() throws {
    let service = try Service(workers: 0)
    let worker = try Stranger(service.folders.workerEndpoint, name: "a")
    try worker.say(#"{"type":"ready","pid":1,"threads":1,"spool":true}"#)
    let job = try service.submit("ball", Service.settings())
    for attempt in 1...2 {
      try service.eventually("attempt \(attempt)") {
        let job = try service.job(named: "ball")
        return job?.attempts == attempt && job?.state == .running
      }
      try worker.say(#"{"type":"done","job":"\#(job.id)","figures":"of another version"}"#)
    }
    try service.eventually("it is not running") { try service.job(named: "ball")?.state == .queued }
    #expect(service.log.contains("have the same version?"))
  }

  @Test("an error bears the name of the request that it answers, however wrong that is")
  func errorNames() throws {
    let service = try Service(workers: 0)
    let client = try Stranger(service.folders.controlEndpoint)
    for (request, code) in [
      (#"{"type":"nope","id":"7"}"#, "unknown"),
      (#"{"type":"list","limit":0,"id":"7"}"#, "malformed"),
      (#"{"type":"cancel","id":"7"}"#, "malformed"), (#"{"id":"7"}"#, "malformed"),
      (#"{"type":"submit","name":"a.mp4","settings":{"prompt":""},"id":"7"}"#, "settings"),
      (#"{"type":"status","job":"x","id":"7"}"#, "not_found"),
      (
        #"{"type":"submit","name":"a.yaml","settings":{"prompt":"x"},"bytes":5,"id":"7"}"#,
        "malformed"
      ),
      (
        #"{"type":"submit","name":"a.mp4","settings":{"prompt":"x"},"bytes":99999999999999999,"id":"7"}"#,
        "limit"
      ),
    ] {
      try client.say(request)
      let answer = try client.answer()
      #expect(
        answer["id"] as? String == "7" && answer["code"] as? String == code, "\(request): \(answer)"
      )
    }
  }

  @Test("a list of long jobs is cut to what a message may hold, and says that there are more")
  func longList() throws {
    let service = try Service(workers: 0)
    let prompt = String(repeating: "\"", count: 4000)
    for number in 0..<80 { try service.submit("j\(number)", Service.settings(prompt)) }
    guard case .jobs(let jobs, more: true) = try service.ask(.list(JobFilter(limit: 1000))) else {
      throw Service.Unexpected()
    }
    #expect(jobs.last?.name == "j79" && jobs.count > 5 && jobs.count < 80)
    guard
      case .jobs(let earlier, _) = try service.ask(
        .list(JobFilter(before: jobs.first?.id, limit: 1000)))
    else { throw Service.Unexpected() }
    #expect(earlier.last?.name == "j\(79 - jobs.count)")
  }
}

import EditSettings
import Foundation
import JobQueue
import Messaging
import Testing

@Suite struct MessageCodingTests {
  static let progress = EditProgress(
    stage: .invert, step: 12, steps: 50, frames: 16, secondsLeft: 80.5)
  static let settings = EditSettings(
    prompt: "a “red” fox\n🦊", sourcePrompt: "a dog", negativePrompt: "blurry", method: .reconstruct,
    inversion: .spatialTemporal,
    steps: 20,
    guidance: 3.5, frames: 8, size: FrameSize(width: 96, height: 160), seed: .max, bases: 64,
    iterations: 3, model: "tiny-world")
  static let id = JobID(rawValue: "20250131-0001")
  /// Milliseconds are what a time on the wire keeps.
  static let time = Date(timeIntervalSince1970: 1_738_326_896.789)

  static var job: Job {
    var job = Job(
      id: id, name: "clip.2", sourceName: "clip é.mp4", state: .running, settings: settings,
      submitted: time)
    job.attempts = 2
    job.started = time
    job.finished = time
    job.progress = progress
    job.worker = "worker-1"
    job.error = "no"
    job.outboxName = "clip-2"
    return job
  }

  func passes<T: Codable & Equatable>(_ values: [T]) throws {
    for value in values {
      #expect(try MessageCoding.decode(T.self, from: MessageCoding.encode(value)) == value)
    }
  }

  @Test("every message of clients and daemon survives the wire")
  func controlMessages() throws {
    try passes([
      ControlRequest.submit(
        stagedName: ".submit-1.part", name: "clip.mp4", settings: Self.settings),
      .submit(stagedName: ".x", name: "y", settings: EditSettings(prompt: "p")),
      .status(job: nil), .status(job: Self.id), .list(states: nil, limit: 10),
      .list(states: JobState.allCases, limit: 0),
      .watch(job: nil), .watch(job: Self.id), .unwatch, .cancel(job: Self.id),
    ])
    let worker = WorkerStatus(
      name: "worker-1", pid: 17, threads: 2, job: Self.id, progress: Self.progress)
    try passes([
      ControlReply.job(Self.job),
      .jobs([
        Self.job, Job(id: Self.id, name: "n", sourceName: "s", settings: nil, submitted: Self.time),
      ]),
      .daemon(
        DaemonStatus(
          version: "1", pid: 1, started: Self.time, jobsByState: ["queued": 3], workers: [worker])),
      .watching, .unwatched, .event(Self.job), .refused("because"),
    ])
  }

  @Test("every message of workers and daemon survives the wire")
  func workerMessages() throws {
    var figures = EditFigures(frames: 16, size: FrameSize(width: 128, height: 96), frameRate: 29.97)
    figures.reconstructionPSNR = 28.5
    figures.seconds = ["invert": 1.25]
    try passes([
      WorkerMessage.ready(pid: 1, threads: 2), .heartbeat(job: nil), .heartbeat(job: Self.id),
      .progress(job: Self.id, Self.progress),
      .log(job: Self.id, level: .warning, message: "m"), .done(job: Self.id, figures: figures),
      .failed(job: Self.id, error: "e", mayPass: true), .cancelled(job: Self.id),
    ])
    let assignment = Assignment(
      job: Self.id, settings: Self.settings, sourcePath: "/a b/c", resultFolder: "/d",
      modelFolder: "/e")
    try passes([
      DaemonMessage.run(assignment), .cancel(job: Self.id), .heartbeat, .introduce, .stop,
    ])
  }

  @Test("a job id is plain text on the wire, keys are sorted and times are ISO 8601")
  func form() throws {
    #expect(
      try String(decoding: MessageCoding.encode(ControlRequest.cancel(job: Self.id)), as: UTF8.self)
        == #"{"cancel":{"job":"20250131-0001"}}"#)
    let text = try String(decoding: MessageCoding.encode(ControlReply.job(Self.job)), as: UTF8.self)
    #expect(text.contains(#""submitted":"2025-01-31T12:34:56.789Z""#))
    let job = Self.job
    let without = try MessageCoding.decode(Date.self, from: Data(#""2025-01-31T12:34:56Z""#.utf8))
    #expect(abs(without.timeIntervalSince(job.submitted) + 0.789) < 0.0005)
  }

  @Test(
    "a message that cannot be read is answered with one sentence that names the field",
    arguments: [
      (#"{"cancel":{}}"#, "lacks the field “cancel.job”"),
      (#"{"cancel":{"job":7}}"#, "“cancel.job” must be a text, not number"),
      (#"{"cancel":{"job":null}}"#, "“cancel.job” must be a text, not null"),
      (#"{"cancel":7}"#, "“cancel” must be an object, not number"),
      (#"{"list":{"limit":1.5}}"#, "a number that does not fit its field"),
      (#"{"list":{"limit":99999999999999999999}}"#, "a number that does not fit its field"),
      (#"{"list":{"limit":"all"}}"#, "“list.limit” must be a whole number, not a string"),
      (#"{"list":{"limit":1,"states":["done","lost"]}}"#, "“list.states[1]” does not take “lost”"),
      (#"{"list":{"limit":1,"states":{}}}"#, "“list.states” must be a list"),
      (
        #"{"submit":{"stagedName":"a","name":"b","settings":{}}}"#,
        "lacks the field “submit.settings.prompt”"
      ),
      (#"{"dance":{}}"#, "exactly one field"),
      (#"{"cancel":{"job":"a"},"unwatch":{}}"#, "exactly one field"),
      ("{}", "exactly one field"),
      ("[]", "must be an object"),
      ("", "not JSON"),
      ("hello", "not JSON"),
      (#"{"cancel":{"job":"a"}"#, "not JSON"),
    ])
  func malformed(text: String, sentence: String) throws {
    let error = #expect(throws: MessagingError.self) {
      try MessageCoding.decode(ControlRequest.self, from: Data(text.utf8))
    }
    let description = try #require(error).description
    #expect(description.contains(sentence), "\(description)")
    #expect(description.hasSuffix("."))
  }

  @Test("a time that is none is named")
  func malformedTime() throws {
    let json = try String(
      decoding: MessageCoding.encode(ControlReply.event(Self.job)), as: UTF8.self
    )
    .replacingOccurrences(of: "2025-01-31T12:34:56.789Z", with: "yesterday")
    let error = #expect(throws: MessagingError.self) {
      try MessageCoding.decode(ControlReply.self, from: Data(json.utf8))
    }
    #expect(error?.description.contains("must be a time such as") == true)
    #expect(error?.description.contains("“yesterday”") == true)
  }

  @Test("a stranger's text in an error is cut short and cannot control a terminal")
  func hostileKey() throws {
    let json =
      #"{"list":{"limit":1,"states":["\u001b[2J"# + String(repeating: "x", count: 10_000) + #""]}}"#
    let error = #expect(throws: MessagingError.self) {
      try MessageCoding.decode(ControlRequest.self, from: Data(json.utf8))
    }
    let description = try #require(error).description
    #expect(!description.unicodeScalars.contains("\u{1B}"))
    #expect(description.count < 200)
  }

  @Test("deep nesting and random bytes are errors, not crashes")
  func bombs() throws {
    for bomb in ["[", #"{"cancel":"#, #"{"list":{"states":["#] {
      let data = Data(String(repeating: bomb, count: (1 << 20) / bomb.utf8.count).utf8)
      #expect(throws: MessagingError.self) {
        try MessageCoding.decode(ControlRequest.self, from: data)
      }
    }
    let nested = Data(
      (#"{"list":{"limit":1,"states":"# + String(repeating: "[", count: 400)
        + String(repeating: "]", count: 400) + "}}").utf8)
    #expect(throws: MessagingError.self) {
      try MessageCoding.decode(ControlRequest.self, from: nested)
    }
    var generator = SystemRandomNumberGenerator()
    let valid = try MessageCoding.encode(
      ControlRequest.submit(stagedName: "a", name: "b", settings: Self.settings))
    for _ in 0..<2000 {
      let random = Data(
        (0..<Int.random(in: 0..<64, using: &generator)).map { _ in
          UInt8.random(in: 0...255, using: &generator)
        })
      #expect(throws: MessagingError.self) {
        try MessageCoding.decode(ControlRequest.self, from: random)
      }
      #expect(throws: MessagingError.self) {
        try MessageCoding.decode(
          ControlRequest.self,
          from: valid.prefix(Int.random(in: 0..<valid.count, using: &generator)))
      }
    }
  }
}

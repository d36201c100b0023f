import EditSettings
import Foundation
import JobQueue
import Messaging
import ServiceConfiguration
import Testing

@Suite struct MessageCodingTests {
  static let progress = EditProgress(
    stage: .invert, step: 12, steps: 50, frames: 16, secondsLeft: 80.5)
  static let settings = EditSettings(
    prompt: "a “red” fox 🦊", sourcePrompt: "a dog", negativePrompt: "blurry", method: .reconstruct,
    inversion: .spatialTemporal,
    steps: 20,
    guidance: 3.5, frames: 8, size: .exactly(FrameSize(width: 96, height: 160)), seed: .max,
    bases: 64,
    iterations: 3, model: "tiny-world", precision: .mixed)
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
    func submit(_ clip: SubmitRequest.Clip) -> ControlRequest {
      .submit(
        SubmitRequest(
          name: "clip.mp4", settings: Self.settings, key: "order-17", priority: -7, clip: clip))
    }
    let requests: [ControlRequest] = [
      submit(.body), submit(.upload(bytes: 1 << 40)), submit(.path("/srv/é.mp4")),
      submit(.staged(".x.part")),
      .submit(SubmitRequest(name: "y", settings: EditSettings(prompt: "p"), clip: .body)),
      .chunk(upload: "u", offset: 7), .abandon(upload: "u"),
      .status(job: nil), .status(job: Self.id), .list(JobFilter()),
      .list(
        JobFilter(
          states: JobState.allCases, client: "user:ada", name: "cl", after: Self.id,
          before: Self.id, order: .oldest, limit: 1000)),
      .watch(job: nil), .watch(job: Self.id), .unwatch, .cancel(job: Self.id),
      .retry(job: Self.id), .retry(job: Self.id, key: "k", priority: 3), .files(job: Self.id),
      .fetch(job: Self.id, file: "edited.mp4", offset: 3, length: 5),
      .workers, .stats, .config, .pause, .resume, .drain,
    ]
    try passes(requests.map { NamedRequest($0) } + requests.map { NamedRequest($0, id: "7é") })
    let worker = WorkerStatus(
      name: "worker-1", pid: 17, threads: 2, remote: true, job: Self.id, progress: Self.progress)
    var statistics = JobStatistics(
      jobs: ["done": 3], clients: ["user:ada": .init()], oldestQueuedSeconds: 1.5, attempts: 9,
      seconds: ["edit": 2.5], inversionsReused: 1)
    statistics.clients["user:ada"]?.queued = 4
    let replies: [ControlReply] = [
      .job(Self.job), .job(Self.job, known: true),
      .jobs(
        [
          Self.job,
          Job(id: Self.id, name: "n", sourceName: "s", settings: nil, submitted: Self.time),
        ], more: true),
      .daemon(
        DaemonStatus(
          version: "1", pid: 1, started: Self.time, mode: .paused, jobs: ["queued": 3],
          workers: [worker])),
      .workers([worker]), .stats(ServiceStatistics(store: statistics, uploads: 2, eventsMissed: 5)),
      .config(ResolvedConfiguration().list(meanings: ["threads": "2"])),
      .upload("u", received: 0, credit: 5), .credit(upload: "u", received: 5, credit: 6),
      .abandoned, .watching, .unwatched, .event(Self.job), .event(Self.job, missed: 12),
      .files(job: Self.id, [ResultFile(name: "a", bytes: 3)]),
      .data(job: Self.id, file: "a", offset: 1, bytes: 3),
      .error(Refusal(.limit, "because", limit: "queue_length")),
      .error(Refusal(.offset, "there", received: 9)),
    ]
    try passes(replies.map { NamedReply($0, id: "x") } + replies.map { NamedReply($0) })
  }

  @Test("every message of workers and daemon survives the wire")
  func workerMessages() throws {
    var figures = EditFigures(frames: 16, size: FrameSize(width: 128, height: 96), frameRate: 29.97)
    figures.reconstructionPSNR = 28.5
    figures.seconds = ["invert": 1.25]
    try passes([
      WorkerMessage.ready(pid: 1, threads: 2, spool: false), .heartbeat(job: nil),
      .heartbeat(job: Self.id), .heartbeat(job: Self.id, quiet: 12), .leaving,
      .progress(job: Self.id, Self.progress),
      .log(job: Self.id, level: .warning, message: "m"), .done(job: Self.id, figures: figures),
      .checkpoint(job: Self.id, Self.progress),
      .failed(job: Self.id, error: "e", mayPass: true),
      .failed(job: Self.id, error: "e", mayPass: true, reason: .diskFull),
      .cancelled(job: Self.id), .get(job: Self.id, file: "source", offset: 3),
      .put(job: Self.id, file: "checkpoint/a", offset: 3, bytes: 9),
    ])
    let shared = Assignment(
      job: Self.id, attempt: 2, settings: Self.settings, model: "m",
      limits: ClipLimits(frames: 3, framePixels: 4, memoryBytes: 5), checkpointInterval: 2.5,
      video: VideoCoding(codec: .hevc, quality: 20),
      files: .shared(
        Assignment.SharedFiles(
          source: "/a b/c", resultFolder: "/d", checkpointFolder: "/f", cacheFolder: "/g",
          cacheBytes: 7, modelFolder: "/e")))
    let remote = Assignment(
      job: Self.id, attempt: 1, settings: Self.settings, model: "m",
      files: .remote(
        Assignment.RemoteFiles(
          sourceBytes: 9, checkpoint: [ResultFile(name: "manifest.json", bytes: 2)])))
    try passes([
      DaemonMessage.run(shared), .run(remote), .cancel(job: Self.id), .heartbeat, .introduce, .stop,
      .data(job: Self.id, file: "source", offset: 1, bytes: 2),
      .stored(job: Self.id, file: "edited.mp4", offset: 5),
      .gone(job: Self.id, file: "x", message: "no"),
    ])
  }

  @Test("a job id is plain text on the wire, keys are sorted and times are ISO 8601")
  func form() throws {
    #expect(
      try String(
        decoding: MessageCoding.encode(NamedRequest(.cancel(job: Self.id), id: "7")), as: UTF8.self)
        == #"{"id":"7","job":"20250131-0001","type":"cancel"}"#)
    let text = try String(
      decoding: MessageCoding.encode(NamedReply(.job(Self.job))), as: UTF8.self)
    #expect(text.contains(#""source_prompt":"a dog""#) && text.contains(#""seconds_left":80.5"#))
    #expect(text.contains(#""submitted":"2025-01-31T12:34:56.789Z""#))
    let job = Self.job
    let without = try MessageCoding.decode(Date.self, from: Data(#""2025-01-31T12:34:56Z""#.utf8))
    #expect(abs(without.timeIntervalSince(job.submitted) + 0.789) < 0.0005)
  }

  @Test(
    "a message that cannot be read is answered with one sentence that names the field",
    arguments: [
      (#"{"type":"cancel"}"#, .malformed, "lacks the field “job”"),
      (#"{"type":"cancel","job":7}"#, .malformed, "“job” must be a text, not number"),
      (#"{"type":"cancel","job":null}"#, .malformed, "“job” must be a text, not null"),
      (#"{"type":"list","limit":1.5}"#, .malformed, "a number that does not fit its field"),
      (
        #"{"type":"list","limit":99999999999999999999}"#, .malformed,
        "a number that does not fit its field"
      ),
      (
        #"{"type":"list","limit":"all"}"#, .malformed,
        "“limit” must be a whole number, not a string"
      ),
      (#"{"type":"list","limit":0}"#, .malformed, "from 1 to 1000, not 0"),
      (
        #"{"type":"list","states":["done","lost"]}"#, .malformed, "“states[1]” does not take “lost”"
      ),
      (#"{"type":"list","states":{}}"#, .malformed, "“states” must be a list"),
      (#"{"type":"submit","name":"b","settings":{}}"#, .settings, "the key 'prompt' is missing"),
      (
        #"{"type":"submit","name":"b","settings":{"prompt":"p","stepps":3}}"#, .settings,
        "did you mean 'steps'"
      ),
      (
        #"{"type":"submit","name":"b","settings":{"prompt":"p","priority":3}}"#, .settings,
        "beside 'settings'"
      ),
      (
        #"{"type":"submit","name":"b","bytes":1,"path":"/x","settings":{"prompt":"p"}}"#,
        .malformed, "not several"
      ),
      (#"{"type":"dance"}"#, .unknown, "no request 'dance'"),
      (#"{"type":"unwatch","id":"\#(String(repeating: "x", count: 65))"}"#, .malformed, "64 bytes"),
      ("{}", .malformed, "lacks the field “type”"),
      ("[]", .malformed, "must be an object"),
      ("", .malformed, "not JSON"),
      ("hello", .malformed, "not JSON"),
      (#"{"type":"cancel","job":"a""#, .malformed, "not JSON"),
    ] as [(String, Refusal.Code, String)])
  func malformed(text: String, code: Refusal.Code, sentence: String) throws {
    let error = #expect(throws: Refusal.self) {
      try MessageCoding.message(
        NamedRequest.self, from: [ProtocolVersion.frame, Data(text.utf8)])
    }
    #expect(error?.code == code)
    #expect(error?.description.contains(sentence) == true, "\(error?.description ?? "")")
  }

  @Test("fields that are not known are ignored, and null is as good as nothing")
  func unknownFields() throws {
    let text = #"{"type":"status","job":null,"colour":"red","nested":{"a":[1]}}"#
    let (named, body) = try MessageCoding.message(
      NamedRequest.self, from: [ProtocolVersion.frame, Data(text.utf8), Data([1, 2])])
    #expect(named == NamedRequest(.status(job: nil)) && body == Data([1, 2]))
  }

  @Test("messages of another version, or with too few or too many frames, are told apart")
  func frames() throws {
    let json = Data(#"{"type":"stats"}"#.utf8)
    let cases: [([Data], Refusal.Code)] = [
      ([], .version), ([json], .version), ([Data("stemd/2".utf8), json], .version),
      ([ProtocolVersion.frame], .malformed),
      ([ProtocolVersion.frame, json, json, json], .malformed),
    ]
    for (frames, code) in cases {
      let error = #expect(throws: Refusal.self) {
        try MessageCoding.message(NamedRequest.self, from: frames)
      }
      #expect(error?.code == code)
    }
  }

  @Test("a time that is none is named")
  func malformedTime() throws {
    let json = try String(
      decoding: MessageCoding.encode(NamedReply(.event(Self.job))), as: UTF8.self
    )
    .replacingOccurrences(of: "2025-01-31T12:34:56.789Z", with: "yesterday")
    let error = #expect(throws: MessagingError.self) {
      try MessageCoding.decode(NamedReply.self, from: Data(json.utf8))
    }
    #expect(error?.description.contains("must be a time such as") == true)
    #expect(error?.description.contains("“yesterday”") == true)
  }

  @Test("a stranger's text in an error is cut short and cannot control a terminal")
  func hostileKey() throws {
    let json =
      #"{"type":"list","states":["\u001b[2J"# + String(repeating: "x", count: 10_000) + #""]}"#
    let error = #expect(throws: MessagingError.self) {
      try MessageCoding.decode(NamedRequest.self, from: Data(json.utf8))
    }
    let description = try #require(error).description
    #expect(!description.unicodeScalars.contains("\u{1B}"))
    #expect(description.count < 200)
  }

  @Test("deep nesting and random bytes are errors, not crashes")
  func bombs() throws {
    for bomb in ["[", #"{"type":"#, #"{"type":"list","states":["#] {
      let data = Data(String(repeating: bomb, count: (1 << 20) / bomb.utf8.count).utf8)
      #expect(throws: MessagingError.self) {
        try MessageCoding.decode(NamedRequest.self, from: data)
      }
    }
    let nested = Data(
      (#"{"type":"list","states":"# + String(repeating: "[", count: 400)
        + String(repeating: "]", count: 400) + "}").utf8)
    #expect(throws: MessagingError.self) {
      try MessageCoding.decode(NamedRequest.self, from: nested)
    }
    var generator = SystemRandomNumberGenerator()
    let valid = try MessageCoding.encode(
      NamedRequest(
        .submit(SubmitRequest(name: "b", settings: Self.settings, clip: .staged("a")))))
    for _ in 0..<2000 {
      let random = Data(
        (0..<Int.random(in: 0..<64, using: &generator)).map { _ in
          UInt8.random(in: 0...255, using: &generator)
        })
      #expect(throws: MessagingError.self) {
        try MessageCoding.decode(NamedRequest.self, from: random)
      }
      #expect(throws: MessagingError.self) {
        try MessageCoding.decode(
          NamedRequest.self,
          from: valid.prefix(Int.random(in: 0..<valid.count, using: &generator)))
      }
    }
  }
}

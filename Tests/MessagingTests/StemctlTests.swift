import EditSettings
import Foundation
import JobQueue
import Messaging
import Synchronization
import Testing

@Suite struct StemctlTests {
  let root: TemporaryFolder
  let folders: SpoolFolders

  init() throws {
    root = try TemporaryFolder()
    folders = SpoolFolders(root: root.url)
    for folder in [folders.inbox, folders.sockets] {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }
  }

  static func job(_ state: JobState, progress: EditProgress? = nil) -> Job {
    var job = Job(
      id: JobID(rawValue: "j1"), name: "clip", sourceName: "clip.mp4", state: state,
      settings: EditSettings(prompt: "a fox", precision: .mixed),
      submitted: Date(timeIntervalSince1970: 1_700_000_000))
    job.progress = progress
    return job
  }

  static var done: Job {
    var job = job(.done)
    job.outboxName = "clip-2"
    return job
  }

  static var failed: Job {
    var job = job(.failed)
    job.error = "The clip is no video\u{1B}[2J."
    job.outboxName = "clip"
    return job
  }

  func daemon(_ answer: @escaping @Sendable (ControlRequest) -> [ControlReply]) -> AnsweringRouter {
    AnsweringRouter(folders.controlEndpoint) { request in
      if case .status(job: nil) = request {
        return [
          .daemon(
            DaemonStatus(
              version: "1.2", pid: 7, started: Date(), mode: .running, jobs: ["queued": 3],
              workers: [
                WorkerStatus(
                  name: "worker-1", pid: 8, threads: 2, job: JobID(rawValue: "j1"),
                  progress: Self.progress)
              ]))
        ]
      }
      return answer(request)
    }
  }

  static let progress = EditProgress(
    stage: .encodeLatents, step: 3, steps: 4, frames: 16, secondsLeft: 80)

  func stemctl(_ arguments: String...) throws -> Program.Outcome {
    try Program.run("stemctl", arguments, environment: ["STEMD_ROOT": root.path("")])
  }

  func clip(_ name: String = "clip.mp4", _ content: String = "frames") throws -> String {
    try Data(content.utf8).write(to: root.url.appending(path: name))
    return root.path(name)
  }

  var inboxNames: [String] {
    get throws {
      try FileManager.default.contentsOfDirectory(atPath: folders.inbox.path(percentEncoded: false))
    }
  }

  @Test(
    "submit stages a whole copy under a temporary name, hands over all settings and prints the id alone"
  )
  func submit() throws {
    let inbox = folders.inbox
    let staged = Mutex<String?>(nil)
    let router = daemon { request in
      guard case .submit(let submission) = request, case .staged(let name) = submission.clip else {
        return [.error(Refusal(.state, "no"))]
      }
      staged.withLock { $0 = try? String(contentsOf: inbox.appending(path: name), encoding: .utf8) }
      return [.job(Self.job(.queued))]
    }
    defer { router.close() }
    let clip = try clip("ä clip: 100%.mp4")
    let outcome = try stemctl(
      "submit", clip, "--prompt", "a fox", "--source-prompt", "a dog", "--negative-prompt", "blur",
      "--method", "reconstruct",
      "--inversion", "spatial-temporal", "--steps", "7", "--guidance", "2.5", "--frames", "9",
      "--size", "96x160", "--seed",
      "18446744073709551615", "--bases", "11", "--iterations", "2", "--model", "m",
      "--precision", "full",
      "--job-key", "mine", "--priority=-3")
    #expect(outcome.errors == "")
    #expect(outcome.status == 0)
    #expect(outcome.output == "j1\n")
    #expect(staged.withLock { $0 } == "frames")
    guard case .submit(let submission)? = router.requests.last,
      case .staged(let stagedName) = submission.clip
    else {
      Issue.record("no submission: \(router.requests)")
      return
    }
    #expect(stagedName.hasPrefix(".submit-") && stagedName.hasSuffix(".part"))
    #expect(submission.name == "ä clip: 100%.mp4")
    #expect(submission.key == "mine" && submission.priority == -3)
    #expect(
      submission.settings
        == EditSettings(
          prompt: "a fox", sourcePrompt: "a dog", negativePrompt: "blur", method: .reconstruct,
          inversion: .spatialTemporal,
          steps: 7,
          guidance: 2.5, frames: 9, size: .exactly(FrameSize(width: 96, height: 160)), seed: .max,
          bases: 11,
          iterations: 2, model: "m", precision: .full))
    #expect(FileManager.default.fileExists(atPath: clip))
  }

  @Test("a refused submission leaves nothing behind and says why")
  func refusedSubmission() throws {
    let router = daemon { _ in [.error(Refusal(.settings, "The prompt is too long."))] }
    defer { router.close() }
    let outcome = try stemctl("submit", try clip(), "--prompt", "p")
    #expect(outcome.status == 1)
    #expect(outcome.errors == "Error: The prompt is too long.\n")
    #expect(outcome.output == "")
    #expect(try inboxNames == [])
  }

  @Test("a submission that is broken off leaves nothing behind")
  func interruptedSubmission() throws {
    let (asked, mayAnswer) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let router = daemon { _ in
      asked.signal()
      mayAnswer.wait()
      return []
    }
    let process = Process()
    process.executableURL = Program.url("stemctl")
    process.arguments = ["submit", try clip(), "--prompt", "p", "--root", root.path("")]
    // A child inherits what this thread blocks.
    var (none, before) = (sigset_t(), sigset_t())
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &before)
    try process.run()
    pthread_sigmask(SIG_SETMASK, &before, nil)
    #expect(asked.wait(timeout: .now() + patience) == .success)
    #expect(try inboxNames.count == 1)
    #expect(kill(process.processIdentifier, SIGINT) == 0)
    process.waitUntilExit()
    #expect(process.terminationReason == .uncaughtSignal)
    #expect(process.terminationStatus == SIGINT)
    #expect(try inboxNames == [])
    mayAnswer.signal()
    router.close()
  }

  @Test("what is no complete video file is refused before the daemon hears of it")
  func unsuitableFiles() throws {
    let router = daemon { _ in [.job(Self.job(.queued))] }
    defer { router.close() }
    let video = try clip()
    #expect(symlink(video, root.path("link.mp4")) == 0)
    #expect(mkfifo(root.path("fifo.mp4"), 0o600) == 0)
    let cases = [
      (root.path("link.mp4"), "is a symbolic link"),
      (root.path("fifo.mp4"), "is not a regular file"),
      (root.path("inbox"), "is a folder"),
      (try clip("empty.mp4", ""), "is empty"),
      (root.path("none.mp4"), "cannot be read: No such file"),
    ]
    for (path, sentence) in cases {
      let outcome = try stemctl("submit", path, "--prompt", "p")
      #expect(outcome.status == 1)
      #expect(outcome.errors.contains(sentence), "\(outcome.errors)")
      #expect(outcome.errors.split(separator: "\n").count == 1)
    }
    #expect(try inboxNames == [])
    #expect(!router.requests.contains { if case .submit = $0 { true } else { false } })
  }

  @Test("without a daemon every command says so and copies nothing")
  func noDaemon() throws {
    let video = try clip()
    for arguments in [
      ["status"], ["list"], ["watch"], ["watch", "j1"], ["cancel", "j1"], ["retry", "j1"],
      ["workers"], ["stats"], ["pause"], ["resume"], ["drain"],
      ["fetch", "j1", "--output", root.path("fetched")],
      ["submit", video, "--prompt", "p"],
    ] {
      let outcome = try Program.run("stemctl", arguments + ["--root", root.path("")])
      #expect(outcome.status == 1)
      // Others' daemons may run here, and are named then.
      #expect(
        outcome.errors.hasPrefix("Error: stemd does not answer at \(folders.controlEndpoint): ")
          && outcome.errors.contains("--root"), "\(outcome.errors)")
      #expect(outcome.errors.split(separator: "\n").count == 1)
    }
    #expect(try inboxNames == [])
  }

  @Test("watch prints a line for every stage and ends with success when the job is done")
  func watchToSuccess() throws {
    let router = daemon { request in
      switch request {
      case .watch: [.watching]
      case .status:
        [
          .job(Self.job(.queued)), .event(Self.job(.running)),
          .event(Self.job(.running, progress: Self.progress)),
          .event(
            Self.job(
              .running, progress: EditProgress(stage: .invert, step: 1, steps: 50, frames: 16))),
          .event(
            Self.job(
              .running, progress: EditProgress(stage: .invert, step: 2, steps: 50, frames: 16))),
          .event(Self.done),
        ]
      default: []
      }
    }
    defer { router.close() }
    let outcome = try stemctl("watch", "j1")
    #expect(outcome.errors == "")
    #expect(outcome.status == 0)
    let lines = outcome.output.split(separator: "\n").map(String.init)
    #expect(
      lines == [
        "queued", "running", "encode latents 3/4 · 16 frames · 1 min 20 s left",
        "invert 1/50 · 16 frames", "done",
        folders.outbox.path(percentEncoded: false) + "clip-2",
      ])
  }

  @Test("watch ends without success when the job failed, was cancelled or does not exist")
  func watchToFailure() throws {
    let router = daemon { request in
      switch request {
      case .watch: [.watching]
      case .status(job: JobID(rawValue: "failed")):
        [
          .job(
            {
              var job = Self.failed
              job.id = JobID(rawValue: "failed")
              return job
            }())
        ]
      case .status(job: JobID(rawValue: "cancelled")):
        [
          .job(
            {
              var job = Self.job(.cancelled)
              job.id = JobID(rawValue: "cancelled")
              return job
            }())
        ]
      default: [.error(Refusal(.notFound, "There is no such job."))]
      }
    }
    defer { router.close() }
    let failed = try stemctl("watch", "failed")
    #expect(failed.status == 1)
    #expect(
      failed.errors
        == "Error: The clip is no video\\u{1B}[2J.; its log is in \(folders.outbox.path(percentEncoded: false))clip\n"
    )
    #expect(!failed.output.unicodeScalars.contains("\u{1B}"))
    let cancelled = try stemctl("watch", "cancelled")
    #expect(cancelled.status == 1)
    #expect(
      cancelled.errors
        == "Error: The job was cancelled: 'stemctl retry cancelled' makes a new one of it.\n")
    let unknown = try stemctl("watch", "unknown")
    #expect(unknown.status == 1)
    #expect(unknown.errors == "Error: There is no such job.\n")
  }

  @Test("submit --wait prints the id, follows the job and ends as it does")
  func submitAndWait() throws {
    let router = daemon { request in
      switch request {
      case .submit: [.job(Self.job(.queued))]
      case .watch: [.watching]
      case .status: [.job(Self.failed)]
      default: []
      }
    }
    defer { router.close() }
    let outcome = try stemctl("submit", try clip(), "--prompt", "p", "--wait")
    #expect(outcome.status == 1)
    #expect(outcome.output == "j1\n")
    #expect(outcome.errors.contains("Error: The clip is no video"))
  }

  @Test("list and status print lines for people and JSON for programs")
  func listAndStatus() throws {
    let router = daemon { request in
      switch request {
      case .list: [.jobs([Self.done, Self.failed], more: false)]
      case .status: [.job(Self.job(.running, progress: Self.progress))]
      default: [.error(Refusal(.state, "no"))]
      }
    }
    defer { router.close() }
    let list = try stemctl("list", "--state", "done", "--state", "failed", "--limit", "5")
    let lines = list.output.split(separator: "\n").map {
      $0.split(separator: " ").joined(separator: " ")
    }
    #expect(lines.first == "JOB CLIP STATE CLIENT SUBMITTED DETAIL")
    #expect(lines[1].hasPrefix("j1 clip done 2023-11-1") && lines[1].hasSuffix(" as clip-2"))
    #expect(lines[2].hasSuffix(" The clip is no video\\u{1B}[2J."), "\(lines[2])")
    #expect(router.requests.last == .list(JobFilter(states: [.done, .failed], limit: 5)))
    let json = try stemctl("list", "--json")
    #expect(
      try MessageCoding.decode([Job].self, from: Data(json.output.utf8)) == [
        Self.done, Self.failed,
      ])
    #expect(router.requests.last == .list(JobFilter(limit: 50)))

    let job = try stemctl("status", "j1")
    #expect(job.output.contains("progress   encode latents 3/4 · 16 frames · 1 min 20 s left\n"))
    #expect(job.output.contains("prompt     a fox\n"))
    #expect(job.output.contains("precision  mixed\n"))
    let jobJSON = try stemctl("status", "j1", "--json")
    #expect(
      try MessageCoding.decode(Job.self, from: Data(jobJSON.output.utf8))
        == Self.job(.running, progress: Self.progress))
    let status = try stemctl("status")
    #expect(status.output.contains("jobs   3 queued\n"), "\(status.output)")
    #expect(
      status.output.contains(
        "worker-1  j1   1:20 left · encode latents 3/4        2        8  here\n"))
    let statusJSON = try stemctl("status", "--json")
    #expect(
      try MessageCoding.decode(DaemonStatus.self, from: Data(statusJSON.output.utf8)).pid == 7)
  }

  @Test("an unknown job is told with the one that was probably meant")
  func meantJob() throws {
    let router = daemon { request in
      switch request {
      case .list: [.jobs([Self.done], more: false)]
      default: [.error(Refusal(.notFound, "there is no job"))]
      }
    }
    defer { router.close() }
    for arguments in [["status", "clip"], ["cancel", "clip"], ["watch", "clip"]] {
      let outcome = try Program.run("stemctl", arguments + ["--root", root.path("")])
      #expect(outcome.status == 1)
      #expect(outcome.errors == "Error: there is no job; did you mean j1 (clip, done)?\n")
    }
    #expect(
      try stemctl("retry", "other").errors
        == "Error: there is no job; 'stemctl list' shows all.\n")
  }

  @Test("watch prints JSON for programs, and ends as the job does")
  func watchJSON() throws {
    let router = daemon { request in
      switch request {
      case .watch: [.watching]
      case .status: [.job(Self.job(.running, progress: Self.progress)), .event(Self.failed)]
      default: []
      }
    }
    defer { router.close() }
    let outcome = try stemctl("watch", "j1", "--json")
    #expect(outcome.status == 1 && outcome.errors == "")
    let jobs = try outcome.output.split(separator: "\n").map {
      try MessageCoding.decode(Job.self, from: Data($0.utf8))
    }
    #expect(jobs == [Self.job(.running, progress: Self.progress), Self.failed])
  }

  @Test("cancel says whether the job is stopped or about to stop")
  func cancel() throws {
    let router = daemon { request in
      switch request {
      case .cancel(job: JobID(rawValue: "queued")): [.job(Self.job(.cancelled))]
      case .cancel(job: JobID(rawValue: "running")): [.job(Self.job(.running))]
      default: [.error(Refusal(.state, "The job is done already."))]
      }
    }
    defer { router.close() }
    #expect(try stemctl("cancel", "queued").output == "cancelled\n")
    #expect(try stemctl("cancel", "running").output == "cancelling\n")
    let late = try stemctl("cancel", "done")
    #expect(late.status == 1)
    #expect(late.errors == "Error: The job is done already.\n")
  }
}

import ArgumentParser
import Foundation
import JobQueue
import Messaging

struct Submit: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Hand a video to the daemon, and print the job's id.",
    discussion: "The video is copied into the inbox; the original stays where it is.")

  @Argument(help: "The video.", completion: .file())
  var video: String

  @OptionGroup(title: "The edit")
  var edit: SettingsOptions

  @Option(parsing: .unconditional, help: "-100 to 100; the greater ones begin first.")
  var priority = 0

  @Option(help: "Your own name for the job: submitting again under the same one makes no other.")
  var jobKey: String?

  @Flag(help: "Show how the edit fares until it is finished, and end as 'watch' does.")
  var wait = false

  @Flag(help: "Print the job as JSON; with --wait at every change, a line each.")
  var json = false

  @OptionGroup
  var daemon: DaemonOptions

  @OptionGroup
  var terminal: TerminalOptions

  func run() throws {
    try edit.requirePrompt()
    let client = try daemon.client()
    // A daemon that is not there is known before gigabytes are copied.
    _ = try client.accepted(.status(job: nil))

    let job = try submit(with: client)
    if json, wait { return try client.printJSON(of: job.id) }
    print(json ? try jsonText(job) : "\(job.id)")
    fflush(nil)
    guard wait else { return }
    // Standard output has the id alone.
    var line = ProgressLine(terminal.terminal(STDERR_FILENO))
    try line.follow(job.id, with: client, outbox: try daemon.outbox)
  }

  private var name: String { URL(filePath: video, directoryHint: .notDirectory).lastPathComponent }

  private func request(_ clip: SubmitRequest.Clip) -> SubmitRequest {
    SubmitRequest(
      name: name, settings: edit.settings, key: jobKey, priority: priority, clip: clip)
  }

  private func submit(with client: ControlClient) throws -> Job {
    if try daemon.isElsewhere {
      return try VideoUpload(path: video).send(with: client) { request(.upload(bytes: $0)) }
    }
    let staged = StagedVideo(in: daemon.folders.inbox)
    let interruption = Interruption { staged.remove() }
    return try withExtendedLifetime(interruption) {
      // Gone already where it became a job's clip.
      defer { staged.remove() }
      try staged.fill(from: video)
      return try client.job(.submit(request(.staged(staged.name))))
    }
  }
}

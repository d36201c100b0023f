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

  @Option(help: "-100 to 100; the greater ones begin first.")
  var priority = 0

  @Option(help: "Your own name for the job: submitting again under the same one makes no other.")
  var key: String?

  @Flag(help: "Show how the edit fares until it is finished, and end as 'watch' does.")
  var wait = false

  @OptionGroup
  var daemon: DaemonOptions

  func run() throws {
    let client = try daemon.client()
    // A daemon that is not there is known before gigabytes are copied.
    _ = try client.accepted(.status(job: nil))

    let job = try submit(with: client)
    print(job.id)
    fflush(nil)
    guard wait else { return }
    // Standard output has the id alone.
    var line = ProgressLine(descriptor: STDERR_FILENO)
    try line.follow(job.id, with: client, folders: daemon.folders)
  }

  private func submit(with client: ControlClient) throws -> Job {
    let staged = StagedVideo(in: daemon.folders.inbox)
    let interruption = Interruption { staged.remove() }
    return try withExtendedLifetime(interruption) {
      try staged.fill(from: video)
      do {
        let name = URL(filePath: video, directoryHint: .notDirectory).lastPathComponent
        let request = SubmitRequest(
          name: name, settings: edit.settings, key: key, priority: priority,
          clip: .staged(staged.name))
        let job = try client.job(.submit(request))
        // Of a job that was there already the daemon takes no second clip.
        staged.remove()
        return job
      } catch {
        staged.remove()
        throw error
      }
    }
  }
}

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

  @Flag(help: "Show how the edit fares until it is finished, and end as 'watch' does.")
  var wait = false

  @OptionGroup
  var daemon: DaemonOptions

  func run() throws {
    let client = try daemon.client()
    // A daemon that is not there is known before gigabytes are copied.
    _ = try client.answer(to: .status(job: nil))

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
        return try client.job(.submit(stagedName: staged.name, name: name, settings: edit.settings))
      } catch {
        staged.remove()
        throw error
      }
    }
  }
}

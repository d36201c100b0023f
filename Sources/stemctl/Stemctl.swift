import ArgumentParser
import EditSettings
import Messaging

struct Stemctl: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stemctl",
    abstract: "Edits videos from a text prompt: through stemd, or here and now.",
    version: ProgramVersion.text,
    subcommands: [
      Edit.self, Generate.self, Submit.self, Status.self, List.self, Watch.self, Cancel.self,
      Retry.self,
      Fetch.self, Workers.self, Stats.self, Config.self, Pause.self, Resume.self, Drain.self,
      Keys.self, Models.self,
      Verify.self, Top.self, Doctor.self,
    ])
}

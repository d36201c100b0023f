import ArgumentParser

struct Stemctl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stemctl", abstract: "Hands video edits to stemd and tells how they fare.",
        subcommands: [Submit.self, Status.self, List.self, Watch.self, Cancel.self])
}

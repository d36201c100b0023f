import ArgumentParser
import Foundation
import Messaging

struct Pause: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Begin no more jobs; those that run go on. Outlives a restart.")

  @OptionGroup var mode: ModeChange

  func run() throws { try mode.ask(.pause) }
}

struct Resume: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "End a pause or a drain.")

  @OptionGroup var mode: ModeChange

  func run() throws { try mode.ask(.resume) }
}

struct Drain: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Accept and begin nothing more, and end the daemon when no job runs.",
    discussion: "What is queued stays queued for the daemon's next start.")

  @OptionGroup var mode: ModeChange

  func run() throws { try mode.ask(.drain) }
}

/// A request that changes what the daemon takes and begins, and tells of the daemon afterwards.
struct ModeChange: ParsableArguments {
  @OptionGroup
  var daemon: DaemonOptions

  @OptionGroup
  var terminal: TerminalOptions

  func ask(_ request: ControlRequest) throws {
    let status = try daemon.client().daemon(request)
    let terminal = terminal.terminal(STDOUT_FILENO)
    terminal.print(status.lines(in: terminal.columns, now: Date()))
  }
}

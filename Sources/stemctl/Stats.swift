import ArgumentParser
import Foundation
import Messaging

struct Stats: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tell what the daemon has done since its store was made.")

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup
  var daemon: DaemonOptions

  @OptionGroup
  var terminal: TerminalOptions

  func run() throws {
    guard case .stats(let statistics) = try daemon.client().accepted(.stats) else {
      throw CommandFailure.unexpectedAnswer
    }
    if json { return print(try jsonText(statistics)) }
    let terminal = terminal.terminal(STDOUT_FILENO)
    terminal.print(statistics.lines(in: terminal.columns))
  }
}

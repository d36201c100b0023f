import ArgumentParser
import Foundation
import Messaging

struct Workers: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the workers, and what each is doing.")

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup
  var daemon: DaemonOptions

  @OptionGroup
  var terminal: TerminalOptions

  func run() throws {
    guard case .workers(let workers) = try daemon.client().accepted(.workers) else {
      throw CommandFailure.unexpectedAnswer
    }
    if json { return print(try jsonText(workers)) }
    let terminal = terminal.terminal(STDOUT_FILENO)
    terminal.print(workers.table.lines(in: terminal.columns))
  }
}

import ArgumentParser
import Foundation
import Messaging

struct Pause: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Begin no more jobs; those that run go on. Outlives a restart.")

  @OptionGroup
  var daemon: DaemonOptions

  func run() throws { print(try daemon.client().daemon(.pause).text(now: Date())) }
}

struct Resume: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "End a pause or a drain.")

  @OptionGroup
  var daemon: DaemonOptions

  func run() throws { print(try daemon.client().daemon(.resume).text(now: Date())) }
}

struct Drain: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Accept and begin nothing more, and end the daemon when no job runs.",
    discussion: "What is queued stays queued for the daemon's next start.")

  @OptionGroup
  var daemon: DaemonOptions

  func run() throws { print(try daemon.client().daemon(.drain).text(now: Date())) }
}

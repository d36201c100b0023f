import ArgumentParser
import Foundation
import Journal
import Messaging
import ServiceConfiguration

struct Config: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show the daemon's settings, and where each comes from.",
    discussion:
      "What is printed is a configuration itself. --files and --check read what a stemd would read that was started here: FILE, its drop-ins FILE.d/*.yaml in the order of their names, and the variables of this environment."
  )

  @Flag(help: "Show what the files and the environment say, without a daemon.")
  var files = false

  @Flag(help: "Say only whether the files and the environment are right.")
  var check = false

  @Option(
    help: ArgumentHelp(
      "With --files and --check: the configuration. (default: \(Configuration.defaultPath), if there is one)",
      valueName: "file"), completion: .file())
  var config: String?

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup
  var daemon: DaemonOptions

  func validate() throws {
    if config != nil, !files, !check {
      throw ValidationError(
        "--config is for --files and --check: a running stemd has read its own.")
    }
  }

  func run() throws {
    guard files || check else {
      guard case .config(let values) = try daemon.client().accepted(.config) else {
        throw CommandFailure.unexpectedAnswer
      }
      return try show(values)
    }
    let resolved: ResolvedConfiguration
    do {
      resolved = try ConfigurationSources(file: config).load()
    } catch {
      throw CommandFailure("\(error)")
    }
    for warning in resolved.warnings {
      FileHandle.standardError.write(Data("Warning: \(warning)\n".utf8))
    }
    if check { return }
    try show(resolved.list())
  }

  private func show(_ values: [ConfigurationValue]) throws {
    print(json ? try jsonText(values) : configurationText(values))
  }
}

/// The settings as a configuration, with their origins as comments.
func configurationText(_ values: [ConfigurationValue]) -> String {
  var lines: [(setting: String, comment: String)] = []
  var group = ""
  for value in values {
    let parts = value.key.split(separator: ".").map(String.init)
    let ownGroup = parts.count > 1 ? parts[0] : ""
    if ownGroup != group, !ownGroup.isEmpty { lines.append(("\(ownGroup):", "")) }
    group = ownGroup
    var comment = value.origin
    if value.value == nil, let meaning = value.meaning { comment += ": \(meaning)" }
    if let later = value.afterRestart { comment += "; after a restart: \(later)" }
    let setting =
      (group.isEmpty ? "" : "  ") + (parts.last ?? "") + ":" + (value.value.map { " " + $0 } ?? "")
    lines.append((setting, comment))
  }
  let width = min(40, lines.map(\.setting.count).max() ?? 0)
  return lines.map { line in
    let setting = line.setting.escapingControlCharacters()
    guard !line.comment.isEmpty else { return setting }
    return setting.padding(toLength: max(width, setting.count), withPad: " ", startingAt: 0)
      + "  # " + line.comment.escapingControlCharacters()
  }.joined(separator: "\n")
}

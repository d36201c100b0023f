import ArgumentParser
import Foundation
import ServiceConfiguration

struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Look for what is misconfigured on this machine, and say how to put it right.",
    discussion:
      "Changes nothing, and needs neither a daemon nor root, who sees more. Each line is ok, a warning or a problem; exits with 1 if there is a problem."
  )

  @Option(
    help: ArgumentHelp(
      "The configuration. (default: \(Configuration.defaultPath), if there is one)",
      valueName: "file"), completion: .file())
  var config: String?

  @Flag(help: "Print JSON.")
  var json = false

  @OptionGroup
  var root: RootOption

  @OptionGroup
  var terminal: TerminalOptions

  func run() throws {
    let patient = Patient(folders: root.folders, configuration: config)
    let checks: [any Check] = [
      ProgramsCheck(), LibrariesCheck(), ProcessorCheck(patient: patient),
      MemoryCheck(patient: patient), ConfigurationCheck(patient: patient),
      ModelsCheck(patient: patient), FoldersCheck(patient: patient), InotifyCheck(),
      DaemonCheck(patient: patient), ServiceCheck(), ConfinementCheck(), VideoCheck(),
    ]
    let terminal = terminal.terminal(STDOUT_FILENO)
    var report = DoctorReport()
    for check in checks {
      let findings = check.examine()
      report.add(check.topic, findings)
      // One after the other, as each is known.
      if !json {
        terminal.print(DoctorReport.lines(check.topic, findings, in: terminal.columns))
      }
    }
    if json {
      print(try jsonText(report))
    } else {
      terminal.print(["", report.summary])
    }
    fflush(nil)
    // Not by returning: a thread that hangs must not hold the process up.
    Foundation.exit(report.problems > 0 ? 1 : 0)
  }
}

import ArgumentParser
import Foundation
import JobQueue
import Journal
import Logging

struct Stemd: ParsableCommand {
  static let version = "0.1.0"

  static let configuration = CommandConfiguration(
    commandName: "stemd", abstract: "Edits the videos that are dropped into a folder.",
    discussion:
      "Put NAME.mp4 and NAME.txt, which holds the prompt, into ROOT/inbox; find the edited video in ROOT/outbox/NAME.",
    version: version)

  @Option(
    help: ArgumentHelp(
      "The folder that holds inbox, outbox, state, cache and sockets; what is missing is made.",
      valueName: "dir"))
  var root = "/var/spool/stemd"

  @Option(help: "How many videos are edited at the same time.")
  var workers = 1

  @Option(
    help:
      "How many threads each worker computes with. (default: the machine's processors, shared among the workers)"
  )
  var threads: Int?

  @Option(
    help: ArgumentHelp(
      "The folder of model folders. (default: $STEMD_MODELS, Models near the program, /usr/share/stemd/models)",
      valueName: "dir"))
  var models: String?

  @Option(help: ArgumentHelp("The model of jobs that name none.", valueName: "name"))
  var defaultModel = ModelFolders.ownModel

  @Option(
    help: ArgumentHelp(
      "The worker's program. (default: stem-worker beside this program)", valueName: "path"))
  var workerProgram: String?

  func validate() throws {
    guard !root.isEmpty else { throw ValidationError("--root takes a folder, not an empty text.") }
    guard (1...256).contains(workers) else {
      throw ValidationError("--workers takes a whole number from 1 to 256, not \(workers).")
    }
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads takes a whole number from 1 to 1024, not \(threads).")
    }
    guard !defaultModel.isEmpty, !defaultModel.hasPrefix("."), !defaultModel.contains("/") else {
      throw ValidationError(
        "--default-model takes the plain name of a folder among the models, not '\(defaultModel)'.")
    }
  }

  func run() throws {
    // Before any thread exists, so that every thread has them blocked.
    let signals = try SignalDescriptor([SIGTERM, SIGINT, SIGCHLD, SIGHUP])
    signal(SIGPIPE, SIG_IGN)
    // The spool belongs to the daemon's user and group, and to nobody else.
    umask(0o007)
    bootstrapLogging(program: "stemd")
    let logger = Logger(label: "stemd")
    do {
      let daemon = try Daemon(
        root: URL(filePath: root, directoryHint: .isDirectory),
        models: ModelFolders(
          path: models.map { URL(filePath: $0).path(percentEncoded: false) }
            ?? ModelFolders.defaultPath(),
          defaultName: defaultModel),
        workerProgram: WorkerProgram(
          path: workerProgram.map { URL(filePath: $0).path(percentEncoded: false) } ?? ModelFolders
            .executableFolder + "/stem-worker",
          threads: threads ?? max(1, ProcessInfo.processInfo.activeProcessorCount / workers)),
        workers: workers, signals: signals, logger: logger)
      try daemon.run()
    } catch {
      logger.critical("\(error)")
      throw ExitCode.failure
    }
  }
}

import ArgumentParser
import Foundation
import JobQueue
import Journal
import Logging
import Messaging

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

  @Option(
    help: ArgumentHelp(
      "The configuration. (default: \(Configuration.defaultPath), if there is one)",
      valueName: "file"))
  var config: String?

  @Option(
    help: "How many videos are edited at the same time by workers of this daemon. (default: 1)")
  var workers: Int?

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

  @Option(
    help: ArgumentHelp(
      "The model of jobs that name none. (default: \(ModelFolders.ownModel))", valueName: "name"))
  var defaultModel: String?

  @Option(help: "Seconds between two checkpoints of a job. (default: 5)")
  var checkpointInterval: Double?

  @Option(
    help: ArgumentHelp(
      "A tcp endpoint for clients with a key, such as tcp://0.0.0.0:7070.", valueName: "endpoint"))
  var listen: String?

  @Option(
    help: ArgumentHelp("A tcp endpoint for workers with a key.", valueName: "endpoint"))
  var listenWorkers: String?

  @Option(
    help: ArgumentHelp(
      "The worker's program. (default: stem-worker beside this program)", valueName: "path"))
  var workerProgram: String?

  func validate() throws {
    guard !root.isEmpty else { throw ValidationError("--root takes a folder, not an empty text.") }
    if let workers, !(0...256).contains(workers) {
      throw ValidationError("--workers takes a whole number from 0 to 256, not \(workers).")
    }
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads takes a whole number from 1 to 1024, not \(threads).")
    }
    if let name = defaultModel, name.isEmpty || name.hasPrefix(".") || name.contains("/") {
      throw ValidationError(
        "--default-model takes the plain name of a folder among the models, not '\(name)'.")
    }
    if let seconds = checkpointInterval, !(0...86400).contains(seconds) {
      throw ValidationError("--checkpoint-interval takes seconds from 0 to 86400, not \(seconds).")
    }
    for endpoint in [listen, listenWorkers].compactMap({ $0 }) where !endpoint.hasPrefix("tcp://") {
      throw ValidationError(
        "--listen and --listen-workers take an endpoint such as tcp://0.0.0.0:7070, not '\(endpoint)'."
      )
    }
  }

  /// The file's settings, and the command line's before them.
  private func configuration() throws -> Configuration {
    var configuration = Configuration()
    if let path = config {
      configuration = try Configuration(file: path)
    } else if access(Configuration.defaultPath, F_OK) == 0 {
      configuration = try Configuration(file: Configuration.defaultPath)
    }
    if let workers { configuration.workers = workers }
    if let threads { configuration.threads = threads }
    if let models { configuration.models = models }
    if let defaultModel { configuration.defaultModel = defaultModel }
    if let checkpointInterval { configuration.checkpointInterval = checkpointInterval }
    if let listen { configuration.listen = listen }
    if let listenWorkers { configuration.listenWorkers = listenWorkers }
    return configuration
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
      let configuration = try configuration()
      // libzmq ends the process when descriptors run out.
      let descriptors = try ConnectionCeiling.raiseDescriptorLimit()
      let most = descriptors - ConnectionCeiling.reserve(of: descriptors)
      let daemon = try Daemon(
        root: URL(filePath: root, directoryHint: .isDirectory),
        models: ModelFolders(
          path: configuration.models.map { URL(filePath: $0).path(percentEncoded: false) }
            ?? ModelFolders.defaultPath(),
          defaultName: configuration.defaultModel),
        workerProgram: WorkerProgram(
          path: workerProgram.map { URL(filePath: $0).path(percentEncoded: false) } ?? ModelFolders
            .executableFolder + "/stem-worker",
          threads: configuration.threads
            ?? max(
              1, ProcessInfo.processInfo.activeProcessorCount / max(1, configuration.workers))),
        configuration: configuration, signals: signals, logger: logger)
      let own = ConnectionCeiling.descriptorsInUse
      let ceiling = min(most, configuration.limits.connections.map { own + $0 } ?? most)
      // A quarter is for this machine's own programs, whoever comes over the network.
      ConnectionCeiling.set(descriptors: ceiling, remote: ceiling - (ceiling - own) / 4)
      try daemon.run()
    } catch {
      logger.critical("\(error)")
      throw ExitCode.failure
    }
  }
}

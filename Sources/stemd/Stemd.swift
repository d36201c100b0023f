import ArgumentParser
import EditSettings
import Foundation
import JobQueue
import Journal
import Logging
import Messaging
import ServiceConfiguration

struct Stemd: ParsableCommand {
  static let version = ProgramVersion.text

  static let configuration = CommandConfiguration(
    commandName: "stemd", abstract: "Edits the videos that are dropped into a folder.",
    discussion:
      "Put NAME.mp4 and NAME.txt, which holds the prompt, into ROOT/inbox; find the edited video in ROOT/outbox/NAME. An option goes before the variable of the environment (STEMD_WORKERS …), that before the configuration's drop-ins (FILE.d/*.yaml), those before the configuration.",
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
      "The models' folder. (default: Models near the program, /usr/share/stemd/models)",
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
    do {
      try sources.checkOptions()
    } catch {
      throw ValidationError("\(error)")
    }
  }

  private var sources: ConfigurationSources {
    func option(_ name: String, _ key: String, _ value: (some Any)?) -> ConfigurationSources.Option?
    {
      value.map { ConfigurationSources.Option(name, key: key, text: "\($0)") }
    }
    return ConfigurationSources(
      file: config,
      options: [
        option("--workers", "workers", workers), option("--threads", "threads", threads),
        option("--models", "models", models),
        option("--default-model", "default_model", defaultModel),
        option("--checkpoint-interval", "checkpoint_interval", checkpointInterval),
        option("--listen", "listen", listen),
        option("--listen-workers", "listen_workers", listenWorkers),
      ].compactMap(\.self))
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
      let resolved = try sources.load()
      for warning in resolved.warnings { logger.warning("\(warning)") }
      let most = try ConnectionLimit.raised()
      let daemon = try Daemon(
        root: URL(filePath: root, directoryHint: .isDirectory),
        workerProgram: WorkerProgram(
          path: workerProgram.map { URL(filePath: $0).path(percentEncoded: false) } ?? ModelFolders
            .executableFolder + "/stem-worker",
          threads: resolved.values.threadsOfWorker),
        configuration: resolved, sources: sources, signals: signals, logger: logger)
      let connectionLimit = ConnectionLimit(most: most)
      connectionLimit.set(resolved.values.limits.connections)
      daemon.connectionLimit = connectionLimit
      try daemon.run()
    } catch {
      logger.log(.daemonFailed, "\(error)")
      // What no other attempt puts right, systemd is not to attempt.
      throw error is ConfigurationError ? ExitCode(EX_CONFIG) : ExitCode.failure
    }
  }
}

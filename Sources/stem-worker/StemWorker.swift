import ArgumentParser
import Foundation
import JobQueue
import Journal
import Logging
import Messaging
import Tensor
import VideoFile

struct StemWorker: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stem-worker", abstract: "Edits the clips that stemd hands out.",
    discussion:
      "stemd starts its workers itself. Start further ones by hand only where you want more than it keeps.",
    subcommands: [Run.self])

  struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Work for a daemon until it says stop.")

    @Option(help: "The daemon's worker socket, such as ipc:///var/spool/stemd/run/workers.sock.")
    var endpoint: String

    @Option(
      help: "The name by which the daemon knows this worker; one that is taken is taken over.")
    var name: String

    @Option(
      parsing: .unconditional,
      help: ArgumentHelp(
        "The public key of a daemon on another machine, or a file that holds it.", valueName: "key")
    )
    var serverKey: String?

    @Option(
      help: ArgumentHelp(
        "The file of this worker's secret key, as 'stemctl keys new' made it; the worker's name is the key's, or begins with it and a slash.",
        valueName: "file"))
    var key: String?

    @Option(help: "How many threads compute. (default: one for every processor)")
    var threads: Int?

    @Flag(
      help:
        "Whether this worker sees the daemon's files under the same paths. (default: as a socket on this machine suggests)"
    )
    var sharedSpool: SharedSpool?

    @Option(
      help: ArgumentHelp(
        "Where the files of a job are kept meanwhile, without a shared spool. (default: a folder below the system's temporary one)",
        valueName: "dir"))
    var scratch: String?

    @Option(
      help: ArgumentHelp(
        "The models' folder, without a shared spool. (default: $STEMD_MODELS, Models near the program, /usr/share/stemd/models)",
        valueName: "dir"))
    var models: String?

    @Option(
      help: ArgumentHelp("The process without which this one is not to live.", visibility: .hidden))
    var parent: Int32?

    func validate() throws {
      if let threads, !(1...1024).contains(threads) {
        throw ValidationError("--threads takes a whole number from 1 to 1024, not \(threads).")
      }
      guard (1...255).contains(name.utf8.count), name.utf8.first != 0 else {
        throw ValidationError("--name takes 1 to 255 bytes.")
      }
      if endpoint.hasPrefix("tcp://"), serverKey == nil || key == nil {
        throw ValidationError(
          "A worker joins a daemon on another machine with --server-key, as 'stemctl keys server' prints it there, and --key, as 'stemctl keys new' makes it."
        )
      }
    }

    func run() throws {
      // A process starts with the signals blocked that the thread blocked that started it.
      var none = sigset_t()
      sigemptyset(&none)
      sigprocmask(SIG_SETMASK, &none, nil)
      // A decoder that died in the middle shows as an error where it is written to, not as this
      // process's death.
      signal(SIGPIPE, SIG_IGN)
      let stray = StrayOutput()
      bootstrapLogging(program: "stem-worker", standardError: stray.standardError)
      var logger = Logger(label: "stem-worker")
      logger[metadataKey: "worker"] = "\(name)"
      do {
        try work(logger, stray)
      } catch {
        logger.critical("\(error)")
        throw ExitCode.failure
      }
    }

    /// Returns when the daemon says stop.
    private func work(_ logger: Logger, _ stray: StrayOutput) throws {
      try ParentDeath.follow(expected: parent)
      let seesSpool = sharedSpool.map { $0 == .sharedSpool } ?? endpoint.hasPrefix("ipc://")
      // Before a predecessor of this name would be taken over.
      let scratch = seesSpool ? nil : try scratchFolder()
      var address = DaemonAddress(endpoint: endpoint)
      if let serverKey, let key {
        address = try DaemonAddress(remote: endpoint, serverKey: serverKey, keyFile: key)
      }
      let jobAtHand = JobAtHand()
      // Before the daemon hears of this worker.
      let termination = try Termination()
      let connection = try WorkerConnection(
        endpoint: endpoint, security: address.security, name: name,
        threads: threads ?? ProcessInfo.processInfo.activeProcessorCount, spool: seesSpool,
        activity: { Activity.count },
        note: { level, text in
          logger.log(level: Logger.Level(level), "\(text)", metadata: jobAtHand.metadata)
        },
        onStop: { isInTime in
          // The computing thread is not to be waited for, nor may what exit(3) tears down be pulled
          // from under it.
          _exit(isInTime ? EXIT_SUCCESS : EXIT_FAILURE)
        })
      termination.whenAskedFor { [logger] in
        logger.notice("told to end")
        connection.stop()
      }
      logger.info("working for \(endpoint)")
      if let shortcoming = Landlock.shortcoming { logger.notice("\(shortcoming)") }
      let remoteFolders = scratch.map { scratch in
        RemoteJobFolders(
          connection: connection, scratch: scratch,
          models: ModelFolders(
            path: models ?? ModelFolders.defaultPath(), defaultName: ModelFolders.ownModel),
          cacheBytes: 10 << 30)
      }
      stray.divert { line in
        logger.notice("\(line)", metadata: jobAtHand.latestMetadata)
      }
      WorkerLoop(
        connection: connection,
        performer: EditPerformer(threads: threads, remoteFolders: remoteFolders),
        jobAtHand: jobAtHand
      ).run()
    }

    /// This worker's own, by its name: what it keeps there serves its next run.
    private func scratchFolder() throws -> String {
      let parent = scratch ?? FileManager.default.temporaryDirectory.path(percentEncoded: false)
      let folder = URL(filePath: parent, directoryHint: .isDirectory).appending(
        path: "stem-worker-" + name.replacing("/", with: "-")
      ).path(percentEncoded: false)
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true,
        attributes: [.posixPermissions: 0o700])
      // Somebody else's folder or link under this name would get the clips.
      var status = stat()
      guard lstat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR,
        status.st_uid == geteuid()
      else {
        throw MessagingError(
          "The scratch folder \(folder) does not belong to this user: choose another --scratch.")
      }
      // Held for this process's life.
      let lock = open(folder + "/lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
      guard lock >= 0, flock(lock, LOCK_EX | LOCK_NB) == 0 else {
        throw MessagingError(
          "The scratch folder \(folder) is used by another worker of this name: choose another --name or --scratch."
        )
      }
      return folder
    }
  }

  enum SharedSpool: EnumerableFlag { case sharedSpool, noSharedSpool }
}

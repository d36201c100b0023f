import ArgumentParser
import Foundation
import JobQueue
import Messaging

/// Whose folder a command works in.
struct RootOption: ParsableArguments {
  @Option(
    help: "The folder that the daemon works in. (default: $STEMD_ROOT or /var/spool/stemd)",
    completion: .directory)
  var root: String?

  func validate() throws {
    if root == "" { throw ValidationError("--root takes a folder, not an empty text.") }
  }

  var folders: SpoolFolders {
    SpoolFolders(
      root: URL(
        filePath: root ?? environment("STEMD_ROOT") ?? "/var/spool/stemd",
        directoryHint: .isDirectory))
  }
}

/// Which daemon a command talks to.
struct DaemonOptions: ParsableArguments {
  @OptionGroup
  var root: RootOption

  @Option(
    help: ArgumentHelp(
      "Talk to a daemon on another machine. (default: $STEMD_CONNECT)",
      valueName: "tcp://host:port"))
  var connect: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "That daemon's public key, or a file that holds it. (default: $STEMD_SERVER_KEY)",
      valueName: "key"))
  var serverKey: String?

  @Option(
    help: ArgumentHelp(
      "The file of your secret key, as 'stemctl keys new' made it. (default: $STEMD_KEY)",
      valueName: "file"), completion: .file())
  var key: String?

  func validate() throws {
    if connect != nil, root.root != nil {
      throw ValidationError(
        "--connect names a daemon on another machine and --root one on this: give one of them.")
    }
    if connect == "" {
      throw ValidationError("--connect takes tcp://HOST:PORT, not an empty text.")
    }
  }

  var folders: SpoolFolders { root.folders }

  /// A root that is given by name wins over a daemon on another machine that the environment names.
  func address() throws -> DaemonAddress {
    guard
      let endpoint = connect ?? (root.root == nil ? environment("STEMD_CONNECT") : nil)
    else { return DaemonAddress(endpoint: folders.controlEndpoint) }
    guard let serverKey = serverKey ?? environment("STEMD_SERVER_KEY") else {
      throw CommandFailure(
        "The daemon at \(endpoint) has to be known by its public key: give it with --server-key or STEMD_SERVER_KEY. 'stemctl keys server' prints it there."
      )
    }
    guard let key = key ?? environment("STEMD_KEY") else {
      throw CommandFailure(
        "The daemon at \(endpoint) has to know you by your key: name its file with --key or STEMD_KEY. 'stemctl keys new' makes one."
      )
    }
    return try DaemonAddress(remote: endpoint, serverKey: serverKey, keyFile: key)
  }

  /// Where its results appear, on this machine.
  var outbox: URL? {
    get throws { try isElsewhere ? nil : folders.outbox }
  }

  /// Whether it sees none of this machine's files.
  var isElsewhere: Bool {
    get throws { try address().endpoint != folders.controlEndpoint }
  }

  /// - Throws: `CommandFailure` where it is known at once that nobody answers.
  func client() throws -> ControlClient {
    let address = try address()
    if try !isElsewhere, let silence = try CommandFailure.silence(of: folders) { throw silence }
    return try ControlClient(endpoint: address.endpoint, security: address.security)
  }
}

/// A variable of the environment that is set to something.
private func environment(_ name: String) -> String? {
  ProcessInfo.processInfo.environment[name].flatMap { $0.isEmpty ? nil : $0 }
}

extension ControlClient {
  /// The answer to a request; a refusal is an error.
  func accepted(_ request: ControlRequest, body: Data? = nil) throws -> ControlReply {
    let reply = try self.request(request, body: body)
    if case .error(let refusal) = reply { throw failure(refusal, of: request) }
    return reply
  }

  /// The answer where it must be one job.
  func job(_ request: ControlRequest, body: Data? = nil) throws -> Job {
    guard case .job(let job, _) = try accepted(request, body: body) else {
      throw CommandFailure.unexpectedAnswer
    }
    return job
  }

  /// The answer where it must be the daemon's state.
  func daemon(_ request: ControlRequest) throws -> DaemonStatus {
    guard case .daemon(let status) = try accepted(request) else {
      throw CommandFailure.unexpectedAnswer
    }
    return status
  }
}

extension JobID: ExpressibleByArgument {
  public init?(argument: String) {
    guard !argument.isEmpty else { return nil }
    self.init(rawValue: argument)
  }
}

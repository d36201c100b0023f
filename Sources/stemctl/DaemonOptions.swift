import ArgumentParser
import Foundation
import JobQueue
import Messaging

/// Which daemon a command talks to.
struct DaemonOptions: ParsableArguments {
  @Option(
    help: "The folder that the daemon works in. (default: $STEMD_ROOT or /var/spool/stemd)",
    completion: .directory)
  var root: String?

  func validate() throws {
    if root == "" { throw ValidationError("--root takes a folder, not an empty text.") }
  }

  var folders: SpoolFolders {
    let environment = ProcessInfo.processInfo.environment["STEMD_ROOT"].flatMap {
      $0.isEmpty ? nil : $0
    }
    return SpoolFolders(
      root: URL(filePath: root ?? environment ?? "/var/spool/stemd", directoryHint: .isDirectory))
  }

  func client() throws -> ControlClient { try ControlClient(endpoint: folders.controlEndpoint) }
}

extension ControlClient {
  /// The answer to a request; a refusal is an error.
  func accepted(_ request: ControlRequest, body: Data? = nil) throws -> ControlReply {
    let reply = try self.request(request, body: body)
    if case .error(let refusal) = reply { throw CommandFailure(refusal.description) }
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

extension CommandFailure {
  static let unexpectedAnswer = CommandFailure(
    "stemd gave an answer to another question: do stemctl and stemd have the same version?")
}

extension JobID: ExpressibleByArgument {
  public init?(argument: String) {
    guard !argument.isEmpty else { return nil }
    self.init(rawValue: argument)
  }
}

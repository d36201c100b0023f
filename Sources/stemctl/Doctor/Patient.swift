import Foundation
import JobQueue
import Messaging
import ServiceConfiguration

/// What the checks look at: a root, the configuration, and the daemon that serves the root, each as
/// far as it is there.
struct Patient: Sendable {
  let folders: SpoolFolders
  /// Where the settings come from.
  let sources: ConfigurationSources
  let configuration: Result<ResolvedConfiguration, any Error>
  let daemon: Result<DaemonStatus, any Error>
  /// The settings that the daemon has in force, where it tells them.
  let inForce: [ConfigurationValue]?

  /// - Parameter configuration: `nil` for the one that a stemd would read that was started here.
  init(folders: SpoolFolders, configuration file: String?) {
    self.folders = folders
    let sources = ConfigurationSources(file: file)
    self.sources = sources
    configuration =
      bounded(seconds: 5) { Result { try sources.load() } }
      ?? .failure(CommandFailure("The configuration cannot be read: its disk does not answer."))
    let endpoint = folders.controlEndpoint
    func ask(_ request: ControlRequest) -> Result<ControlReply, any Error> {
      bounded(seconds: 6) {
        Result { try ControlClient(endpoint: endpoint).request(request, timeout: 3) }
      }
        ?? .failure(
          CommandFailure("stemd cannot be asked at \(endpoint): its disk does not answer."))
    }
    daemon = ask(.status(job: nil)).flatMap {
      switch $0 {
      case .daemon(let status): .success(status)
      case .error(let refusal): .failure(refusal)
      default: .failure(CommandFailure.unexpectedAnswer)
      }
    }
    if case .success = daemon, case .success(.config(let values)) = ask(.config) {
      inForce = values
    } else {
      inForce = nil
    }
  }

  /// The settings of the files, or the defaults where those are wrong.
  var settings: Configuration { (try? configuration.get().values) ?? Configuration() }

  /// A setting as the daemon has it; `nil` where there is none or it has no value.
  func inForce(_ key: String) -> ConfigurationValue? { inForce?.first { $0.key == key } }

  var models: ModelFolders {
    ModelFolders(
      path: inForce("models").map { $0.value ?? $0.meaning ?? "" } ?? settings.models
        ?? ModelFolders.defaultPath(),
      defaultName: inForce("default_model")?.value ?? settings.defaultModel)
  }

  /// How many clips are edited at the same time.
  var workers: Int { inForce("workers")?.value.flatMap { Int($0) } ?? settings.workers }

  /// Who serves the root, or will: whose the daemon's socket is, else the root.
  var owner: uid_t? {
    let socket = String(folders.controlEndpoint.dropFirst("ipc://".count))
    return FolderFacts(path: socket)?.owner ?? FolderFacts(path: folders.rootPath)?.owner
  }

  static func name(of user: uid_t) -> String {
    getpwuid(user).map { String(cString: $0.pointee.pw_name) } ?? "\(user)"
  }
}

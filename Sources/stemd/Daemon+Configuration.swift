import Foundation
import JobQueue
import ServiceConfiguration

extension Daemon {
  /// The settings in force, for operators.
  var configurationValues: [ConfigurationValue] {
    resolved.list(meanings: ["threads": "\(processes.threads)", "models": displayName(models.path)])
  }
}

extension ModelFolders {
  init(_ configuration: Configuration) {
    self.init(
      path: configuration.models ?? Self.defaultPath(), defaultName: configuration.defaultModel)
  }
}

import Foundation

/// The folders of one spool. Inbox, work and outbox lie in one tree on one mount, so that claims
/// and deliveries are renames.
public struct SpoolFolders: Sendable {
  public let root: URL
  public init(root: URL) { self.root = root.standardizedFileURL }

  public var inbox: URL { root.appending(path: "inbox", directoryHint: .isDirectory) }
  /// One folder a job, named by its id: `source.EXT`, the sidecar, and `result/`, which becomes
  /// `outbox/NAME`.
  public var work: URL { root.appending(path: "work", directoryHint: .isDirectory) }
  public var outbox: URL { root.appending(path: "outbox", directoryHint: .isDirectory) }
  public var state: URL { root.appending(path: "state", directoryHint: .isDirectory) }
  public var cache: URL { root.appending(path: "cache", directoryHint: .isDirectory) }
  public var sockets: URL { root.appending(path: "run", directoryHint: .isDirectory) }

  public var controlEndpoint: String {
    "ipc://" + sockets.appending(path: "control.sock").path(percentEncoded: false)
  }
  public var workerEndpoint: String {
    "ipc://" + sockets.appending(path: "workers.sock").path(percentEncoded: false)
  }
}

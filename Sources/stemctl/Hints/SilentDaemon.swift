import Foundation
import JobQueue
import Messaging

extension CommandFailure {
  /// Why nobody of this machine answers for a root, and what to do.
  /// - Returns: `nil` where somebody may.
  static func silence(of folders: SpoolFolders) throws -> CommandFailure? {
    let endpoint = folders.controlEndpoint
    switch try LocalSocketPath(endpoint: endpoint)?.occupant() {
    case nil, .listening: return nil
    case .forbidden:
      let remedy =
        FolderFacts(path: folders.rootPath).map { FoldersCheck.joinGroup($0.group) }
        ?? "join the group stemd, and log in anew"
      return CommandFailure("This user may not talk to stemd at \(endpoint): \(remedy).")
    case .nothing, .stale, .otherFile:
      return CommandFailure(
        "stemd does not answer at \(endpoint): \(remedy(for: folders.rootPath)).")
    }
  }

  private static func remedy(for root: String) -> String {
    if let other = RunningDaemons.roots.first(where: { $0 != root }) {
      return
        "none serves this root; one runs with --root \(other), so give that, or set STEMD_ROOT"
    }
    let start =
      root == "/var/spool/stemd" && access("/run/systemd/system", F_OK) == 0
      ? "'systemctl start stemd'" : "'stemd --root \(root)'"
    return access(root, F_OK) == 0
      ? "is it running with this --root? \(start) starts it"
      : "the root \(root) does not exist; see whether --root is right, or start it with \(start)"
  }
}

import EditSettings
import Foundation
import JobQueue
import Messaging

/// Whether the three programs are together.
struct ProgramsCheck: Check {
  let topic = "programs"

  func findings() -> [Finding] {
    let own = ModelFolders.executableFolder
    // As `make` leaves them, and as the package installs them.
    let folders = [own, (own as NSString).deletingLastPathComponent + "/sbin"]
    var findings = [Finding.ok("stemctl \(ProgramVersion.text) in \(own)")]
    for name in ["stemd", "stem-worker"] {
      if let folder = folders.first(where: { access("\($0)/\(name)", X_OK) == 0 }) {
        findings.append(.ok("\(name) in \(folder)"))
      } else {
        findings.append(
          .warning(
            "\(name) is neither in \(folders.joined(separator: " nor in "))",
            fix: "keep the three programs together, or install them: apt install ./stemd_*.deb"))
      }
    }
    return findings
  }
}

import Foundation
import JobQueue
import Messaging
import ServiceConfiguration

/// The configuration's files and variables, and whether they are what the daemon has in force.
struct ConfigurationCheck: Check {
  let patient: Patient
  let topic = "configuration"

  func findings() -> [Finding] {
    switch patient.configuration {
    case .failure(let error):
      return [
        .problem(
          "\(error)",
          fix:
            "correct it, and see with 'stemctl config --check' that it is right; a stemd that runs goes on with what it has, and a new one does not start"
        )
      ]
    case .success(let resolved):
      let files = resolved.files
      let found =
        files.isEmpty
        ? "there is no \(patient.sources.path): the defaults hold"
        : "\(files.joined(separator: ", ")): all settings are right"
      return [.ok(found)]
        + resolved.warnings.map {
          .warning($0, fix: "rename or remove it; man stemd.yaml lists all settings")
        } + waiting(resolved) + keys(resolved.values)
    }
  }

  /// What the files say and the daemon does not do yet.
  private func waiting(_ resolved: ResolvedConfiguration) -> [Finding] {
    guard let inForce = patient.inForce else { return [] }
    let restart = inForce.filter { $0.afterRestart != nil }.map {
      Finding.warning(
        "'\($0.key)' will be \($0.afterRestart ?? "") after a restart",
        fix: "systemctl restart stemd, or stop stemd and start it again")
    }
    let own = Dictionary(uniqueKeysWithValues: resolved.list().map { ($0.key, $0) })
    let changed = inForce.filter { value in
      guard let new = own[value.key], new.from == .file, value.from == .file else { return false }
      return new.file == value.file && new.value != value.value && value.afterRestart == nil
    }
    guard let first = changed.first else { return restart }
    return restart + [
      .warning(
        "\(first.file ?? "a file") has changed since stemd read it: '\(first.key)' is \(own[first.key]?.value ?? "without a value") there and \(first.value ?? "without a value") in force",
        fix: "systemctl reload stemd, or send it SIGHUP")
    ]
  }

  /// Who listens for other machines needs keys.
  private func keys(_ settings: Configuration) -> [Finding] {
    guard settings.listen != nil || settings.listenWorkers != nil else { return [] }
    let root = patient.folders.rootPath
    guard access(patient.folders.keysPath + "/stemd.secret", F_OK) == 0 || errno == EACCES else {
      return [
        .problem(
          "the configuration listens for other machines, and there is no key pair in \(patient.folders.keysPath): stemd does not start",
          fix: "stemctl keys server --root \(root)")
      ]
    }
    let folder = KeyFolder(patient.folders)
    let allowed = folder.allowedKeys().count
    let notices = folder.takeNotices().map {
      Finding.warning($0, fix: "put it right, or remove the file")
    }
    return notices + [
      allowed == 0
        ? .warning(
          "the configuration listens for other machines, and no key is let in",
          fix: "stemctl keys allow NAME --as client FILE.public --root \(root)")
        : .ok(allowed == 1 ? "1 key is let in" : "\(allowed) keys are let in")
    ]
  }
}

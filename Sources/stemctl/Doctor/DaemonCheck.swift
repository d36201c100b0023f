import EditSettings
import Foundation
import JobQueue
import Messaging

/// Whether a daemon answers for the root, of which version, and what it is about.
struct DaemonCheck: Check {
  let patient: Patient
  let topic = "daemon"

  func findings() -> [Finding] {
    switch patient.daemon {
    case .failure(let error): return [unreachable("\(error)")]
    case .success(let status): return [version(status)] + mode(status) + workers(status)
    }
  }

  private func unreachable(_ sentence: String) -> Finding {
    let endpoint = patient.folders.controlEndpoint
    let root = patient.folders.rootPath
    switch try? LocalSocketPath(endpoint: endpoint)?.occupant() {
    case .listening:
      return .problem(
        "stemd has its socket open at \(endpoint) and does not answer: \(sentence)",
        fix:
          "look what it says (journalctl -u stemd -n 30), and start it anew (systemctl restart stemd)"
      )
    case .forbidden:
      let group = FolderFacts(path: root)?.group
      return .problem(
        "this user may not talk to stemd at \(endpoint)",
        fix: group.map(FoldersCheck.joinGroup) ?? "join the group stemd, and log in anew")
    case .nothing, .stale, .otherFile:
      let others = RunningDaemons.roots.filter { $0 != root }
      return .warning(
        "no stemd serves \(root)",
        fix: others.first.map { "one runs with --root \($0): give that, or set STEMD_ROOT=\($0)" }
          ?? "start it: systemctl start stemd, or stemd --root \(root)")
    case nil:
      return .problem(sentence, fix: "choose a root with a shorter path")
    }
  }

  private func version(_ status: DaemonStatus) -> Finding {
    guard status.version == ProgramVersion.text else {
      return .warning(
        "stemd has version \(status.version), and this stemctl \(ProgramVersion.text)",
        fix:
          "start the daemon anew (systemctl restart stemd), or take the stemctl that came with it")
    }
    return .ok(
      "stemd \(status.version) answers at \(patient.folders.controlEndpoint), process \(status.pid)"
    )
  }

  private func mode(_ status: DaemonStatus) -> [Finding] {
    switch status.mode {
    case .running: return []
    case .paused:
      return [.warning("it is paused: no job begins", fix: "stemctl resume")]
    case .draining:
      return [
        .warning(
          "it is being drained: it takes no job, and ends when none runs",
          fix: "stemctl resume, if that is not meant")
      ]
    }
  }

  private func workers(_ status: DaemonStatus) -> [Finding] {
    guard let workers = status.workers else { return [] }
    let own = workers.filter { !$0.remote }.count
    if own < patient.workers {
      return [
        .warning(
          "\(own) of \(patient.workers) workers are there",
          fix: "wait some seconds, and see why they end: journalctl -u stemd -n 30")
      ]
    }
    if workers.isEmpty {
      return [
        .warning(
          "there is no worker, so no job begins",
          fix: "set 'workers: 1' in \(patient.sources.path), or start one: stem-worker run")
      ]
    }
    return [.ok(workers.count == 1 ? "1 worker is there" : "\(workers.count) workers are there")]
  }
}

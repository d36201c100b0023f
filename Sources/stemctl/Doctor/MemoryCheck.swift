import Foundation
import StableDiffusion
import Tensor

/// Memory, and the control groups' limits, against what the default model takes.
struct MemoryCheck: Check {
  let patient: Patient
  let topic = "memory"
  let patience = 30.0

  func findings() -> [Finding] {
    let machine = Int(clamping: ProcessInfo.processInfo.physicalMemory)
    var findings = [
      Finding.ok(
        "\(byteText(machine)) in this machine"
          + (Self.available.map { ", \(byteText($0)) of them available" } ?? ""))
    ]
    var limit = machine
    let daemon = (try? patient.daemon.get())?.pid
    for (who, process) in [("this shell", "self"), ("stemd", daemon.map(String.init))] {
      guard let process,
        let bytes = AvailableMemory.groupLimit(
          membership: "/proc/\(process)/cgroup", groups: "/sys/fs/cgroup"), bytes < machine
      else { continue }
      findings.append(.ok("\(who) and what it starts may take \(byteText(bytes)) (memory.max)"))
      // The daemon's workers edit; where there is no daemon, this shell's commands do.
      if process != "self" || daemon == nil { limit = bytes }
    }
    if let worker = patient.settings.limits.workerMemory {
      findings.append(.ok("a worker may take \(byteText(worker)) ('limits.worker_memory')"))
      limit = min(limit, worker * max(1, patient.workers))
    }
    if let need { findings.append(judge(need, limit)) }
    return findings
  }

  /// What the default model takes.
  private struct Need {
    var model: String
    var weights: Int
    var edit: Int
    var side: Int
  }

  private var need: Need? {
    let models = patient.models
    guard let path = try? models.path(named: nil) else { return nil }
    let model = ModelInspection(at: URL(fileURLWithPath: path))
    guard let weights = model.preparedBytes(.automatic), let edit = model.editBytes,
      let side = model.nativeSize
    else { return nil }
    return Need(model: models.defaultName, weights: weights, edit: edit, side: side)
  }

  private func judge(_ need: Need, _ limit: Int) -> Finding {
    let workers = max(1, patient.workers)
    let frames = ModelInspection.editFrames
    let one = need.weights + need.edit
    let all = need.weights + workers * need.edit
    let text =
      "an edit of \(frames) frames of \(need.side)x\(need.side) with '\(need.model)' takes about \(byteText(one)), the model's weights included"
    if one > limit {
      return .problem(
        "\(text), which is more than there may be: \(byteText(limit))",
        fix:
          "edit at a smaller size ('size: \(max(8, need.side / 16 * 8))' in the sidecar) or fewer frames, or give the machine or stemd.slice more memory"
      )
    }
    if all > limit {
      return .warning(
        "\(text); \(workers) workers at once take \(byteText(all)) of \(byteText(limit))",
        fix:
          "set 'workers: \(max(1, (limit - need.weights) / max(1, need.edit)))' in \(patient.sources.path)"
      )
    }
    if let available = Self.available, one > available {
      return .warning(
        "\(text), and only \(byteText(available)) are available now",
        fix: "end other programs (ps aux --sort=-rss | head), or wait until they have ended")
    }
    return .ok(text)
  }

  /// What new programs could have without swapping.
  private static var available: Int? {
    let information = (try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8)) ?? ""
    return information.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }.flatMap {
      Int($0.filter(\.isNumber)).map { $0 << 10 }
    }
  }
}

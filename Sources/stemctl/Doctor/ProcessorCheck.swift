import CKernels
import COneDNN
import Foundation
import Tensor

/// The processor, the kernels that it gets, and what `auto` is here.
struct ProcessorCheck: Check {
  let patient: Patient
  let topic = "processor"

  private static let features = ["avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16"]

  func findings() -> [Finding] {
    let information = kernelText("/proc/cpuinfo")
    func field(_ name: String) -> String? {
      information.split(separator: "\n").first { $0.hasPrefix(name) }.flatMap {
        $0.split(separator: ":", maxSplits: 1).last.map { $0.trimmingCharacters(in: .whitespaces) }
      }
    }
    let processors = ProcessInfo.processInfo.activeProcessorCount
    let flags = Set(
      (field("flags") ?? field("Features") ?? "").split(separator: " ").map(String.init))
    let present = Self.features.filter(flags.contains)
    var findings = [
      Finding.ok(
        "\(field("model name") ?? "a processor"), \(processors) \(processors == 1 ? "processor" : "processors")\(present.isEmpty ? "" : ", with \(present.joined(separator: ", "))")"
      )
    ]
    findings.append(kernels(flags))
    findings.append(precision())
    if let quota = Self.quota(membership: "/proc/self/cgroup", groups: "/sys/fs/cgroup"),
      quota < Double(processors)
    {
      let threads = max(1, Int(quota))
      findings.append(
        .warning(
          "this process may use \(String(format: "%g", quota)) of the \(processors) processors (cpu.max of its control group)",
          fix:
            "set 'threads: \(threads)' in \(patient.sources.path), or give edits '--threads \(threads)'"
        ))
    }
    for name in ["OMP_THREAD_LIMIT", "OMP_NUM_THREADS"] {
      guard let text = ProcessInfo.processInfo.environment[name], let limit = Int(text),
        limit < processors
      else { continue }
      findings.append(
        .warning(
          "\(name)=\(limit) keeps edits from \(processors - limit) of the processors",
          fix: "unset \(name), unless that is what it is for"))
    }
    return findings
  }

  private func kernels(_ flags: Set<String>) -> Finding {
    let isa = dnnl_cpu_isa2str(dnnl_get_effective_cpu_isa()).map { String(cString: $0) } ?? "?"
    let ours =
      switch kernels_instructions() {
      case kernels_avx512: kernels_have_bf16() ? "AVX-512 with bf16" : "AVX-512"
      case kernels_avx2: "AVX2"
      default: "those of every processor"
      }
    let text = "kernels: \(ours); oneDNN's: \(isa.replacing("cpu_isa_", with: ""))"
    let variables = ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"].filter {
      ProcessInfo.processInfo.environment[$0].map { !$0.isEmpty && $0.uppercased() != "ALL" }
        ?? false
    }
    if let variable = variables.first {
      return .warning(
        "\(text), because \(variable) keeps them from more", fix: "unset \(variable)")
    }
    #if arch(x86_64)
      if !flags.isEmpty, !flags.contains("avx2") {
        return .warning(
          "\(text); without AVX2 an edit takes many times as long",
          fix:
            "run stemd on a processor from 2013 on, or let the virtual machine have its host's processor (-cpu host)"
        )
      }
    #endif
    return .ok(text)
  }

  private func precision() -> Finding {
    let auto = Precision.automatic
    if patient.settings.precision == .mixed, !Precision.isMixedSupported {
      return .warning(
        "the configuration asks for mixed precision, which this processor does not support: edits are computed in full",
        fix: "set 'precision: auto' in \(patient.sources.path)")
    }
    return .ok(
      "precision auto is \(auto) here"
        + (auto == .full ? ", as mixed needs avx512_bf16" : ""))
  }

  /// How many processors' time a control group and those around it leave a process; `nil` where
  /// there is no limit.
  static func quota(membership: String, groups: String) -> Double? {
    guard let lines = try? String(contentsOfFile: membership, encoding: .utf8),
      let line = lines.split(separator: "\n").first(where: { $0.hasPrefix("0::/") })
    else { return nil }
    var names = line.dropFirst("0::/".count).split(separator: "/")
    var least: Double?
    while true {
      let path = "\(groups)/\(names.map { "\($0)/" }.joined())cpu.max"
      // "max 100000" or "150000 100000": microseconds of each period.
      let words = ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "").split {
        $0.isWhitespace
      }
      if words.count == 2, let quota = Double(words[0]), let period = Double(words[1]), period > 0 {
        least = min(least ?? .infinity, quota / period)
      }
      if names.popLast() == nil { return least }
    }
  }
}

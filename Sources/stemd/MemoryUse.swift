import Foundation

/// What the kernel says of processes' memory.
enum MemoryUse {
  /// Bytes that a process shares with nobody, in memory or swapped out; what it maps from files is
  /// not among them.
  static func privateBytes(of process: pid_t) -> Int? {
    guard let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
    else {
      return nil
    }
    let kibibytes = ["RssAnon:", "VmSwap:"].compactMap { key in
      status.split(separator: "\n").first { $0.hasPrefix(key) }.flatMap { line in
        Int(line.dropFirst(key.count).filter(\.isNumber))
      }
    }
    return kibibytes.isEmpty ? nil : kibibytes.reduce(0, +) << 10
  }

  /// How many processes the kernel has killed for want of memory since the machine started.
  static var killsForWantOfMemory: Int {
    guard let counters = try? String(contentsOfFile: "/proc/vmstat", encoding: .utf8),
      let line = counters.split(separator: "\n").first(where: { $0.hasPrefix("oom_kill ") })
    else { return 0 }
    return Int(line.dropFirst("oom_kill ".count)) ?? 0
  }
}

import Foundation

/// How much memory this process can have: the machine's, or what its control groups leave it.
package enum AvailableMemory {
  package static let bytes = min(
    Int(clamping: ProcessInfo.processInfo.physicalMemory),
    groupLimit(membership: "/proc/self/cgroup", groups: "/sys/fs/cgroup") ?? .max)

  /// The least limit of a process's control group and of those around it (version 2 of these).
  ///
  /// - Parameters:
  ///   - membership: the file that tells the process's group.
  ///   - groups: the folder of all groups.
  /// - Returns: in bytes; `nil` where there is no limit.
  package static func groupLimit(membership: String, groups: String) -> Int? {
    guard let lines = try? String(contentsOfFile: membership, encoding: .utf8),
      let line = lines.split(separator: "\n").first(where: { $0.hasPrefix("0::/") })
    else { return nil }
    var names = line.dropFirst("0::/".count).split(separator: "/")
    var least: Int?
    while true {
      let path = "\(groups)/\(names.map { "\($0)/" }.joined())memory.max"
      // "max" is no number.
      if let text = try? String(contentsOfFile: path, encoding: .utf8),
        let limit = Int(text.trimmingCharacters(in: .whitespacesAndNewlines))
      {
        least = min(least ?? limit, limit)
      }
      if names.popLast() == nil { return least }
    }
  }
}

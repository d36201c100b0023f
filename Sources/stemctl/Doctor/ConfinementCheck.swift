import Foundation
import VideoFile

/// What the kernel offers to hold the processes that open strangers' videos.
struct ConfinementCheck: Check {
  let topic = "confinement"

  func findings() -> [Finding] {
    let landlock: Finding =
      if let shortcoming = Landlock.shortcoming {
        .warning(
          shortcoming,
          fix:
            "boot with landlock among the kernel's 'lsm=' (cat /sys/kernel/security/lsm), or take a newer kernel"
        )
      } else {
        .ok("Landlock, version \(Landlock.version) of its interface")
      }
    let actions =
      (try? String(contentsOfFile: "/proc/sys/kernel/seccomp/actions_avail", encoding: .utf8)) ?? ""
    let seccomp: Finding =
      actions.split { $0.isWhitespace }.contains("errno")
      ? .ok("seccomp filters of system calls")
      : .problem(
        "this kernel has no seccomp filters: no video is opened without them",
        fix: "take a kernel with CONFIG_SECCOMP_FILTER, as Debian's have it")
    return [landlock, seccomp]
  }
}

import CLinux
import Foundation

/// What a process gives up before it looks at a stranger's bytes.
enum Confinement {
  /// To be called by the child, once, when 0, 1 and 2 are all it needs.
  /// - Throws: `VideoFailure` where the system refuses; going on without would be a promise broken.
  static func enter(limits: VideoProcess.Limits, parent: pid_t) throws {
    try require(stem_prctl_set_parent_death_signal(SIGKILL), "to end with its parent")
    // The parent may have died before that was in force.
    guard getppid() == parent else {
      throw VideoFailure(.crashed, "was not touched: who asked for it has ended")
    }
    try require(stem_prctl_set_no_new_privileges(), "never to gain privileges")
    try require(close_range(3, UInt32.max, 0), "to close what it does not need")

    let seconds = UInt(max(1, limits.processorSeconds))
    // The signal at the soft limit says what happened; the hard one is for who ignores it.
    try require(
      stem_set_resource_limit(stem_RLIMIT_CPU, seconds, seconds + 5), "a limit on processor time")
    try limit(stem_RLIMIT_AS, UInt(max(0, limits.memoryBytes)), "a limit on memory")
    try limit(stem_RLIMIT_FSIZE, UInt(max(0, limits.fileBytes)), "a limit on file size")
    try limit(stem_RLIMIT_CORE, 0, "not to dump core")
    // 0, 1 and 2 are open already: nothing further can be, unless whoever took the process over
    // closes one of them first.
    try limit(stem_RLIMIT_NOFILE, 3, "never to open a file")

    // The place for Landlock (no path at all) and a seccomp filter (read, write, pread, pwrite,
    // lseek, fstat, memory, time, exit): everything is loaded and open here, and no byte of the
    // file has been looked at.
  }

  private static func limit(_ resource: Int32, _ value: UInt, _ purpose: String) throws {
    try require(stem_set_resource_limit(resource, value, value), purpose)
  }

  private static func require(_ result: Int32, _ purpose: String) throws {
    guard result == 0 else {
      throw VideoFailure(
        .resources,
        "was not touched: its process could not be held \(purpose): \(String(cString: strerror(errno)))"
      )
    }
  }
}

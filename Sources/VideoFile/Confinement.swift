import CLinux
import Foundation

/// What a process gives up before it looks at a stranger's bytes: all of this machine but its
/// memory, its processor time and its first descriptors.
///
/// Each layer holds by itself: limits, Landlock, and the filter of system calls.
struct Confinement {
  var limits: VideoProcess.Limits
  /// Whose end is this process's end.
  var parent: pid_t
  /// Descriptor 1 is a file, rather than a socket.
  var writesFile: Bool
  /// How many descriptors it needs, from 0 on.
  var descriptors: UInt32

  /// To be called by the child, once, when these are all it needs, and all it has to load is
  /// loaded.
  /// - Throws: `VideoFailure` where the system refuses; going on without would be a promise broken.
  ///   Landlock alone is not in every kernel (`Landlock.shortcoming`).
  func enter() throws {
    try require("to end with its parent") {
      try check(stem_prctl_set_parent_death_signal(SIGKILL))
    }
    // The parent may have died before that was in force.
    guard getppid() == parent else {
      throw VideoFailure(.crashed, "was not touched: who asked for it has ended")
    }
    // Handlers of runtimes, which would start a debugger: a crash is the parent's to report.
    for fault in [SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGABRT, SIGQUIT] {
      signal(fault, SIG_DFL)
    }
    try require("never to gain privileges") { try check(stem_prctl_set_no_new_privileges()) }
    try require("to close what it does not need") {
      try check(close_range(descriptors, UInt32.max, 0))
    }
    try require("to open no file (Landlock)") { try Landlock.enter() }

    let seconds = UInt(max(1, limits.processorSeconds))
    // The signal at the soft limit says what happened; the hard one is for who ignores it.
    try limit(stem_RLIMIT_CPU, seconds, hard: seconds + 5, "a limit on processor time")
    try limit(stem_RLIMIT_AS, UInt(max(0, limits.memoryBytes)), "a limit on memory")
    let fileBytes = writesFile ? UInt(max(0, limits.fileBytes)) : 0
    try limit(stem_RLIMIT_FSIZE, fileBytes, "a limit on file size")
    try limit(stem_RLIMIT_CORE, 0, "not to dump core")
    // They are open already: nothing further can be, unless whoever took the process over closes
    // one of them first.
    try limit(stem_RLIMIT_NOFILE, UInt(descriptors), "never to open a file")

    try require("to the system calls of a decoder (seccomp)") {
      try SystemCallFilter(writesFile: writesFile).enter(
        reportingTo: STDERR_FILENO, status: VideoChild.status(of: .suspicious))
    }
  }

  /// - Parameter hard: `nil` for the same.
  private func limit(_ resource: Int32, _ soft: UInt, hard: UInt? = nil, _ purpose: String) throws {
    try require(purpose) {
      // Who started all of this may have set a lower one, which only root could raise.
      var present = rlimit()
      try check(getrlimit(__rlimit_resource_t(UInt32(resource)), &present))
      let most = UInt(present.rlim_max)
      try check(stem_set_resource_limit(resource, min(soft, most), min(hard ?? soft, most)))
    }
  }

  private func check(_ result: Int32) throws {
    guard result == 0 else { throw SystemError(code: errno) }
  }

  private func require(_ purpose: String, _ body: () throws -> Void) throws {
    do {
      try body()
    } catch {
      throw VideoFailure(
        .resources, "was not touched: its process could not be held \(purpose): \(error)")
    }
  }
}

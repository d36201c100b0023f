import CConfinement
import CLinux
import CSeccomp
import Glibc

/// The few system calls of a process that turns bytes into pictures, or pictures into bytes, and
/// holds all its descriptors already.
///
/// There are three answers. Allowed is what works on memory, time and the descriptors at hand.
/// Refused with an error code is what the C library and others ask for in passing, and do well
/// without. Everything else is what a video has no need for: the process ends with a word on it.
struct SystemCallFilter {
  /// Writing at an offset, to a file.
  var writesFile: Bool

  private static let allowed = [
    // Descriptors.
    "read", "pread64", "write", "lseek", "close",
    // Memory; see also `enter`.
    "munmap", "mremap", "brk", "madvise",
    // Threads.
    "futex", "set_robust_list", "rseq", "sched_yield", "sched_getaffinity",
    // What it is, and what time.
    "getpid", "gettid", "clock_gettime", "clock_getres", "gettimeofday", "time", "getrusage",
    "getrandom",
    // Waiting.
    "nanosleep", "clock_nanosleep", "restart_syscall",
    // The end, and a signal on the way there.
    "rt_sigreturn", "rt_sigprocmask", "exit", "exit_group",
  ]

  private static let refused: [(code: Int32, calls: [String])] = [
    // Time zones, processor counts, locales: whoever looks for a file finds none.
    (
      EACCES,
      [
        "open", "openat", "creat", "access", "faccessat", "faccessat2", "stat", "lstat", "fstat",
        "newfstatat", "statx", "readlink", "readlinkat",
      ]
    ),
    // Their arguments lie in memory, where no filter sees them; the C library falls back to calls
    // that show theirs.
    (ENOSYS, ["clone3", "openat2"]),
    // Names and priorities of threads, kinds of descriptors.
    (
      EPERM,
      [
        "prctl", "fcntl", "ioctl", "sched_setaffinity", "sched_setscheduler", "setpriority",
        "membarrier", "sysinfo", "uname",
      ]
    ),
  ]

  /// Holds this process to the filter, with all its threads, until its end. A call that is neither
  /// allowed nor refused ends it with `status`; `name(inReport:)` reads what it says on
  /// `descriptor` then.
  /// - Throws: `SystemError`; the filter is not in force then.
  func enter(reportingTo descriptor: Int32, status: Int32) throws {
    guard stem_report_trapped_calls(descriptor, status) == 0 else { throw SystemError(code: errno) }
    guard let filter = seccomp_init(UInt32(SCMP_ACT_TRAP)) else { throw SystemError(code: ENOMEM) }
    defer { seccomp_release(filter) }
    // Calls of another processor's kind (32 bits) have other numbers.
    try check(seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, UInt32(SCMP_ACT_KILL_PROCESS)))
    try check(seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1))

    func add(_ action: UInt32, _ call: String, _ conditions: [scmp_arg_cmp] = []) throws {
      let number = seccomp_syscall_resolve_name(call)
      // What libseccomp has no number for falls under "everything else".
      guard number != __NR_SCMP_ERROR else { return }
      try check(
        seccomp_rule_add_array(filter, action, number, UInt32(conditions.count), conditions))
    }
    func allow(_ call: String, where conditions: scmp_arg_cmp...) throws {
      try add(UInt32(SCMP_ACT_ALLOW), call, conditions)
    }
    for call in Self.allowed { try allow(call) }
    if writesFile { try allow("pwrite64") }
    for (code, calls) in Self.refused {
      for call in calls { try add(stem_SCMP_ACT_ERRNO(code), call) }
    }
    // No memory becomes code.
    for call in ["mmap", "mprotect"] {
      try allow(call, where: argument(2, masked: UInt64(PROT_EXEC), is: 0))
    }
    // Threads, of which libav needs none today, but no processes and no namespaces.
    let thread = UInt64(CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
    let spaces =
      UInt64(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC)
      | UInt64(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
    try allow("clone", where: argument(0, masked: thread | spaces, is: thread))
    // Starting a thread takes a signal handler; the one that reports stays.
    try allow(
      "rt_sigaction",
      where: scmp_arg_cmp(arg: 0, op: SCMP_CMP_NE, datum_a: UInt64(SIGSYS), datum_b: 0))
    // `abort` signals itself.
    try allow("tgkill", where: argument(0, masked: .max, is: UInt64(getpid())))
    // Limits may be read.
    try allow(
      "prlimit64", where: argument(0, masked: .max, is: 0), argument(2, masked: .max, is: 0))
    try check(seccomp_load(filter))
  }

  /// The name of the call that ended a process, from what the process said; `nil` where that is
  /// something else.
  static func name(inReport report: String) -> String? {
    let words = report.split(separator: " ")
    guard words.count == 3, words.prefix(2) == ["system", "call"], let number = Int32(words[2])
    else { return nil }
    guard let name = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), number) else {
      return "number \(number)"
    }
    defer { free(name) }
    return String(cString: name)
  }

  private func argument(_ index: UInt32, masked mask: UInt64, is value: UInt64) -> scmp_arg_cmp {
    scmp_arg_cmp(arg: index, op: SCMP_CMP_MASKED_EQ, datum_a: mask, datum_b: value)
  }

  private func check(_ result: Int32) throws {
    guard result < 0 else { return }
    throw SystemError(code: -result)
  }
}

import CConfinement
import Glibc

/// The kernel's own refusal of files, TCP and signals to a process that asked for it: it holds even
/// where a system call slips through the filter.
public enum Landlock {
  /// Of its interface, which grew over the years; 0 where the kernel has none.
  package static var version: Int { Int(stem_landlock_version()) }

  /// What is missing, as a sentence for the log; `nil` where the kernel has it.
  public static var shortcoming: String? {
    guard version == 0 else { return nil }
    return
      "this system has no Landlock (a kernel older than 5.13, not among its 'lsm=', or filtered away): what opens videos is held by its system call filter and limits alone"
  }

  /// Takes every file and TCP port from the calling thread, and from what it starts, until its end.
  /// Does nothing where `shortcoming` says so.
  /// - Throws: `SystemError`
  package static func enter() throws {
    guard version > 0 else { return }
    guard stem_landlock_enter() == 0 else { throw SystemError(code: errno) }
  }
}

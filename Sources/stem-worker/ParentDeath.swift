import CLinux
import Glibc
import Messaging

/// Ties this process's life to its parent's, so that no worker computes on for a daemon that is
/// gone.
enum ParentDeath {
  /// From now on the kernel kills this process when its parent dies.
  /// - Parameter expected: The parent as the parent itself gave it; without it a death before this
  ///   call goes unnoticed.
  /// - Throws: where the parent is dead already.
  static func follow(expected: Int32?) throws {
    let parent = expected ?? getppid()
    guard stem_prctl_set_parent_death_signal(SIGKILL) == 0 else {
      throw MessagingError(
        "The worker could not be tied to its parent's life: \(String(cString: strerror(errno))).")
    }
    guard getppid() == parent else {
      throw MessagingError("The process \(parent) that this worker was to work for is gone.")
    }
  }
}

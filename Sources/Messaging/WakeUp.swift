import CLinux
import Glibc

/// Ends another thread's wait in `Poller`. `ring` may be called from any thread.
final class WakeUp: Sendable {
  /// What the waiting thread polls.
  let descriptor: Int32

  init() throws {
    descriptor = eventfd(0, stem_EFD_NONBLOCK | stem_EFD_CLOEXEC)
    guard descriptor >= 0 else {
      throw MessagingError(
        "An event descriptor could not be made: \(String(cString: strerror(errno))).")
    }
  }

  deinit {
    close(descriptor)
  }

  func ring() {
    _ = eventfd_write(descriptor, 1)
  }

  func silence() {
    var count: eventfd_t = 0
    _ = eventfd_read(descriptor, &count)
  }
}

import CLinux
import Glibc

/// Ends another thread's wait in `Poller`. `ring` may be called from any thread.
public final class WakeUp: Sendable {
  /// What the waiting thread polls.
  public let descriptor: Int32

  public init() throws {
    descriptor = eventfd(0, stem_EFD_NONBLOCK | stem_EFD_CLOEXEC)
    guard descriptor >= 0 else {
      throw MessagingError(
        "An event descriptor could not be made: \(String(cString: strerror(errno))).")
    }
  }

  deinit {
    close(descriptor)
  }

  public func ring() {
    _ = eventfd_write(descriptor, 1)
  }

  public func silence() {
    var count: eventfd_t = 0
    _ = eventfd_read(descriptor, &count)
  }
}

import CLinux
import Foundation

/// Signals as something to poll and read, instead of interruptions.
public final class SignalDescriptor {
  public let descriptor: Int32

  /// Blocks the signals for this thread and those that it will start.
  /// - Throws: `MessagingError`
  public init(_ signals: [Int32]) throws {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in signals { sigaddset(&set, signal) }
    pthread_sigmask(SIG_BLOCK, &set, nil)
    descriptor = signalfd(-1, &set, stem_SFD_CLOEXEC | stem_SFD_NONBLOCK)
    guard descriptor >= 0 else {
      throw MessagingError("Signals cannot be received: \(String(cString: strerror(errno))).")
    }
  }

  deinit { close(descriptor) }

  /// The numbers of the signals that have come.
  public func read() -> [Int32] {
    var signals: [Int32] = []
    var information = signalfd_siginfo()
    while Foundation.read(descriptor, &information, MemoryLayout<signalfd_siginfo>.size)
      == MemoryLayout<signalfd_siginfo>.size
    {
      signals.append(Int32(information.ssi_signo))
    }
    return signals
  }
}

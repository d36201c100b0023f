import Foundation
import Synchronization

/// Cleans up when the user breaks a command off.
final class Interruption {
  private let signals: sigset_t
  private let isOver: SharedFlag

  /// While this object lives, SIGINT and SIGTERM first do `cleanUp` and then end the process. One
  /// that is ignored stays ignored. To be made and dropped on the main thread, before others start.
  init(cleanUp: @escaping @Sendable () -> Void) {
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGINT, SIGTERM] where !Self.isIgnored(number) { sigaddset(&signals, number) }
    self.signals = signals
    let isOver = SharedFlag()
    self.isOver = isOver
    // Blocked everywhere, a signal waits for the thread that asks for it.
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    Thread.detachNewThread { [signals] in
      var (waitedFor, number) = (signals, Int32(0))
      guard sigwait(&waitedFor, &number) == 0 else { return }
      if !isOver.isSet { cleanUp() }
      signal(number, SIG_DFL)
      pthread_sigmask(SIG_UNBLOCK, &waitedFor, nil)
      raise(number)
    }
  }

  deinit {
    isOver.set()
    var signals = signals
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
  }

  private static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    sigaction(number, nil, &action)
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
      == unsafeBitCast(SIG_IGN, to: Int.self)
  }
}

/// A flag that one thread sets and another reads.
private final class SharedFlag: Sendable {
  private let value = Atomic(false)
  var isSet: Bool { value.load(ordering: .acquiring) }
  func set() { value.store(true, ordering: .releasing) }
}

import Foundation
import Messaging

/// SIGTERM and SIGINT as a wish that is granted in good order. The second one ends the process at
/// once.
struct Termination {
  /// Written to by the signals' handler, which may do hardly anything else.
  nonisolated(unsafe) private static var sender: Int32 = -1
  private let receiver: Int32

  /// From now on the signals wait for `whenAskedFor`. To be made once.
  init() throws {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0, ends.allSatisfy({ fcntl($0, F_SETFD, FD_CLOEXEC) == 0 }) else {
      throw MessagingError("Signals cannot be received: \(String(cString: strerror(errno))).")
    }
    (receiver, Self.sender) = (ends[0], ends[1])
    var handling = sigaction()
    handling.__sigaction_handler.sa_handler = { _ in
      var byte: UInt8 = 0
      _ = write(Termination.sender, &byte, 1)
    }
    handling.sa_flags = SA_RESTART | Int32(bitPattern: UInt32(SA_RESETHAND))
    for signal in [SIGTERM, SIGINT] { sigaction(signal, &handling, nil) }
  }

  /// - Parameter action: called on a thread of its own, once.
  func whenAskedFor(_ action: @escaping @Sendable () -> Void) {
    Thread { [receiver] in
      var byte: UInt8 = 0
      while read(receiver, &byte, 1) < 0, errno == EINTR {}
      action()
    }.start()
  }
}

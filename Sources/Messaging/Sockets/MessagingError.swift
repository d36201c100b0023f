import CZeroMQ

/// What went wrong on a socket or in a message: one sentence that says what is wrong and, where
/// something can be done about it, what.
public struct MessagingError: Error, Sendable, Equatable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) {
    self.description = description
  }

  /// The failure that libzmq has just reported for the calling thread, as the end of the sentence
  /// `intent`.
  static func last(_ intent: String) -> MessagingError {
    MessagingError("\(intent): \(String(cString: zmq_strerror(zmq_errno()))).")
  }
}

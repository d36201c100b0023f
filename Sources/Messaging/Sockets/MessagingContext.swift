import CZeroMQ

/// libzmq's I/O thread and the sockets that it serves; a program needs one.
///
/// Every socket keeps its context alive, so a context ends after its last socket and ending it
/// never waits for a forgotten one.
public final class MessagingContext: Sendable {
  nonisolated(unsafe) let handle: UnsafeMutableRawPointer

  public init() throws {
    guard let handle = zmq_ctx_new() else {
      throw MessagingError.last("The messaging context could not be created")
    }
    // A socket of ours costs descriptors of the process even before anyone connects; reaching this
    // limit is an error that can be handled. The connections that others make are limited by
    // `ConnectionCeiling`.
    guard zmq_ctx_set(handle, ZMQ_MAX_SOCKETS, 1023) == 0 else {
      let error = MessagingError.last("The messaging context's number of sockets could not be set")
      zmq_ctx_term(handle)
      throw error
    }
    self.handle = handle
  }

  deinit {
    while zmq_ctx_term(handle) != 0 && zmq_errno() == EINTR {}
  }
}

import CZeroMQ

/// Waits for whichever of several sources has something to read first.
public enum Poller {
  public enum Source {
    case socket(MessageSocket)
    /// A file descriptor, borrowed.
    case descriptor(Int32)
  }

  /// - Parameter milliseconds: How long to wait at most; 0 only looks, a negative number waits for
  ///   ever.
  /// - Returns: For every source, in order, whether there is something to receive (or, for a
  ///   descriptor, an end or error to be noticed). All are `false` when time is up or a signal
  ///   arrived.
  public static func wait(for sources: [Source], milliseconds: Int) throws -> [Bool] {
    var items = sources.map { source in
      var item = zmq_pollitem_t()
      switch source {
      case .socket(let socket): item.socket = socket.handle
      case .descriptor(let descriptor): item.fd = descriptor
      }
      item.events = Int16(ZMQ_POLLIN)
      return item
    }
    guard zmq_poll(&items, Int32(items.count), milliseconds) >= 0 else {
      if zmq_errno() == EINTR { return sources.map { _ in false } }
      throw MessagingError.last("Waiting for messages failed")
    }
    return items.map { $0.revents != 0 }
  }
}

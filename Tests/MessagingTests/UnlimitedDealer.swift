import CZeroMQ
import Foundation
import Messaging

/// A client that keeps to none of our limits.
final class UnlimitedDealer {
  private let context: UnsafeMutableRawPointer
  private let socket: UnsafeMutableRawPointer

  init(_ endpoint: String) throws {
    guard let context = zmq_ctx_new(), let socket = zmq_socket(context, ZMQ_DEALER) else {
      throw MessagingError("No socket.")
    }
    self.context = context
    self.socket = socket
    var linger: Int32 = 0
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, MemoryLayout<Int32>.size)
    guard zmq_connect(socket, endpoint) == 0 else { throw MessagingError("No connection.") }
  }

  deinit {
    zmq_close(socket)
    zmq_ctx_term(context)
  }

  func send(_ frames: [Data]) {
    for (index, frame) in frames.enumerated() {
      _ = frame.withUnsafeBytes {
        zmq_send(socket, $0.baseAddress, $0.count, index + 1 < frames.count ? ZMQ_SNDMORE : 0)
      }
    }
  }
}

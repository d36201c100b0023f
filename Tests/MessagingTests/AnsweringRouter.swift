import Foundation
import Messaging
import Synchronization

/// The daemon's end of the control socket on a thread of its own: passes every request to `answer`
/// and sends what that returns.
final class AnsweringRouter: Sendable {
  private let isClosing = Mutex(false)
  private let hasClosed = DispatchSemaphore(value: 0)
  private let seen = Mutex<[ControlRequest]>([])

  /// All requests so far.
  var requests: [ControlRequest] { seen.withLock { $0 } }

  init(_ endpoint: String, answer: @escaping @Sendable (ControlRequest) -> [ControlReply]) {
    let isOpen = DispatchSemaphore(value: 0)
    Thread { [self] in
      defer { hasClosed.signal() }
      do {
        let router = try MessageSocket(.router, context: MessagingContext())
        try router.bind(endpoint)
        isOpen.signal()
        while !isClosing.withLock({ $0 }) {
          _ = try Poller.wait(for: [.socket(router)], milliseconds: 10)
          while let message = try router.receive() {
            let (named, _) = try MessageCoding.message(
              NamedRequest.self, from: Array(message.dropFirst()))
            let request = named.request
            seen.withLock { $0.append(request) }
            for reply in answer(request) {
              _ = try router.send(
                [message[0]] + MessageCoding.frames(NamedReply(reply, id: named.id)))
            }
          }
        }
      } catch {
        // The test then misses its answers.
        print("The answering router ended: \(error)")
        isOpen.signal()
      }
    }.start()
    isOpen.wait()
  }

  /// Returns once the socket is gone.
  func close() {
    isClosing.withLock { $0 = true }
    hasClosed.wait()
    hasClosed.signal()
  }

  deinit { isClosing.withLock { $0 = true } }
}

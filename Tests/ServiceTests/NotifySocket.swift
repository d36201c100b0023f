import Synchronization

/// A service manager's end of $NOTIFY_SOCKET.
final class NotifySocket: Sendable {
  private let socket: DatagramSocket
  private let told: Received<String>

  init() throws {
    let told = Received<String>()
    socket = try DatagramSocket(name: "notify") {
      told.append(String(decoding: $0, as: UTF8.self))
    }
    self.told = told
  }

  var path: String { socket.path }

  /// What was told so far, in its order.
  var messages: [String] { told.all }
}

/// What one thread receives and another reads.
final class Received<Element: Sendable>: Sendable {
  private let elements = Mutex<[Element]>([])

  var all: [Element] { elements.withLock { $0 } }

  func append(_ element: Element) { elements.withLock { $0.append(element) } }
}

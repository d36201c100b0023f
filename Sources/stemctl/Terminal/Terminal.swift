import Foundation

/// What a descriptor leads to, a terminal or not, and what may be written there.
struct Terminal: Sendable {
  let descriptor: Int32
  /// Whether a person reads it; a pipe or a file gets everything, uncut.
  let isTerminal: Bool
  /// Whether what stands there can be overwritten.
  let rewrites: Bool
  let colors: Bool

  init(
    _ descriptor: Int32, color: ColorChoice = .auto,
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) {
    self.descriptor = descriptor
    isTerminal = isatty(descriptor) == 1
    rewrites = isTerminal && !Self.isDumb(environment)
    colors = color.uses(isTerminal: isTerminal, environment: environment)
  }

  /// Whether a terminal of this environment knows no escape sequences.
  static func isDumb(_ environment: [String: String]) -> Bool {
    ["", "dumb", "unknown"].contains(environment["TERM"] ?? "")
  }

  /// Asked for each time, so that a window may change its size.
  var size: (columns: Int, rows: Int) {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 else { return (80, 24) }
    // A serial line does not know its terminal's size.
    return (size.ws_col > 1 ? Int(size.ws_col) : 80, size.ws_row > 1 ? Int(size.ws_row) : 24)
  }

  /// What a line has to keep to; `nil` where nobody cuts it.
  var columns: Int? { isTerminal ? size.columns : nil }

  func print(_ lines: [StyledText]) {
    write(lines.map { $0.rendered(colors: colors) + "\n" }.joined())
  }

  /// Whether there is a reader or not.
  func write(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count > 0 {
        bytes = bytes.dropFirst(count)
      } else if count == 0 || errno != EINTR && errno != EAGAIN {
        return
      } else if errno == EAGAIN {
        // Somebody made a terminal of ours not wait.
        var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = poll(&waiting, 1, 100)
      }
    }
  }
}

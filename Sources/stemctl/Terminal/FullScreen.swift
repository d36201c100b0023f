import Foundation

/// A terminal's alternate screen, with keys that count at once and do not show.
///
/// The terminal is as it was before when the object is gone, when `leave` is called, and when the
/// process crashes.
final class FullScreen {
  private let terminal: Terminal
  /// Where keys come from; `nil` where nobody can type.
  let keyboard: Int32?
  private var before = termios()
  private var isShown = false

  private static let entering = "\u{1B}[?1049h\u{1B}[?25l"
  private static let leaving = "\u{1B}[?25h\u{1B}[?1049l"

  init(_ terminal: Terminal) {
    self.terminal = terminal
    keyboard = isatty(STDIN_FILENO) == 1 ? STDIN_FILENO : nil
    enter()
  }

  deinit { leave() }

  func enter() {
    guard !isShown else { return }
    isShown = true
    if let keyboard, tcgetattr(keyboard, &before) == 0 {
      var keys = before
      // Ctrl-C and Ctrl-Z stay signals.
      keys.c_lflag &= ~tcflag_t(ICANON | ECHO)
      // Reading returns at once with what there is.
      withUnsafeMutableBytes(of: &keys.c_cc) {
        $0[Int(VMIN)] = 0
        $0[Int(VTIME)] = 0
      }
      tcsetattr(keyboard, TCSANOW, &keys)
    }
    LastResort.arm(terminal.descriptor, keyboard, before, Self.leaving)
    terminal.write(Self.entering)
  }

  func leave() {
    guard isShown else { return }
    isShown = false
    terminal.write(Self.leaving)
    // What was typed since is the shell's.
    if let keyboard { tcsetattr(keyboard, TCSANOW, &before) }
    LastResort.disarm()
  }

  /// From the screen's upper left corner on; nothing of what stood there before remains.
  func draw(_ lines: [StyledText]) {
    let text = lines.map { $0.rendered(colors: terminal.colors) + "\u{1B}[K" }
    terminal.write("\u{1B}[H" + text.joined(separator: "\r\n") + "\u{1B}[J")
  }

  /// The keys that were pressed since it was last asked.
  func keys() -> [UInt8] {
    guard let keyboard else { return [] }
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = read(keyboard, &bytes, bytes.count)
    return Array(bytes.prefix(max(0, count)))
  }
}

/// What a crash does before it ends the process: as little as a signal's handler may.
private enum LastResort {
  private nonisolated(unsafe) static var terminal: Int32 = -1
  private nonisolated(unsafe) static var keyboard: Int32 = -1
  private nonisolated(unsafe) static var before = termios()
  /// Lives as long as the process.
  private nonisolated(unsafe) static var text: UnsafeMutablePointer<CChar>?

  private static let crashes = [SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGABRT]

  static func arm(_ terminal: Int32, _ keyboard: Int32?, _ before: termios, _ text: String) {
    (self.terminal, self.keyboard, self.before) = (terminal, keyboard ?? -1, before)
    if self.text == nil { self.text = strdup(text) }
    for crash in crashes {
      signal(crash) { number in
        if let text = LastResort.text { write(LastResort.terminal, text, strlen(text)) }
        if LastResort.keyboard >= 0 {
          tcsetattr(LastResort.keyboard, TCSANOW, &LastResort.before)
        }
        signal(number, SIG_DFL)
        raise(number)
      }
    }
  }

  static func disarm() { for crash in crashes { signal(crash, SIG_DFL) } }
}

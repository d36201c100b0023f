import Foundation
import Synchronization

/// Lines at a terminal's lower end that rewrite themselves, below others that stay.
///
/// They are drawn anew whenever somebody shows something, and once a second, for times that pass and
/// windows that change their size.
final class LiveLines: Sendable {
  /// The lines, of which none is wider than so many columns.
  typealias Content = @Sendable (_ columns: Int) -> [StyledText]

  private struct State {
    var content: Content?
    /// The widths of the lines that stand there.
    var drawn: [Int] = []
  }

  private let terminal: Terminal
  private let state = Mutex(State())

  /// - Parameter terminal: one that can be rewritten.
  init(_ terminal: Terminal) {
    self.terminal = terminal
    Thread.detachNewThread { [weak self] in
      // Signals are others' business.
      var signals = sigset_t()
      sigfillset(&signals)
      pthread_sigmask(SIG_BLOCK, &signals, nil)
      while true {
        sleep(1)
        guard let self else { return }
        state.withLock { $0.content == nil ? () : self.draw([], &$0) }
      }
    }
  }

  func show(_ content: @escaping Content) {
    state.withLock { state in
      state.content = content
      draw([], &state)
    }
  }

  /// Puts lines above that stay.
  func say(_ above: [StyledText]) { state.withLock { draw(above, &$0) } }

  /// Leaves what was last shown standing; what follows begins on a line of its own.
  func finish() {
    state.withLock { state in
      guard state.content != nil else { return }
      draw([], &state)
      if !state.drawn.isEmpty { terminal.write("\n") }
      state = State()
    }
  }

  /// While it lives, Ctrl-C leaves the lines standing, and the shell's prompt below them. To be made
  /// and dropped on the main thread.
  func interruption() -> Interruption { Interruption { self.finish() } }

  private func draw(_ above: [StyledText], _ state: inout State) {
    let (columns, rows) = terminal.size
    // The last column is left free: some terminals go over to the next line when it is filled.
    let lines = (state.content?(columns - 1) ?? []).suffix(max(1, rows - 1)).map {
      $0.cut(to: columns - 1)
    }
    var text = Self.erasing(state.drawn, columns: columns)
    for line in above { text += line.rendered(colors: terminal.colors) + "\n" }
    text += lines.map { $0.rendered(colors: terminal.colors) }.joined(separator: "\n")
    state.drawn = lines.map(\.width)
    terminal.write(text)
  }

  /// Takes away lines of these widths, of which the cursor stands in the last; a window that became
  /// narrower has broken them.
  private static func erasing(_ widths: [Int], columns: Int) -> String {
    let rows = widths.reduce(0) { $0 + max(1, ($1 + columns - 1) / columns) }
    return "\r" + (rows > 1 ? "\u{1B}[\(rows - 1)A" : "") + "\u{1B}[J"
  }
}

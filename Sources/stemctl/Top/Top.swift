import ArgumentParser
import Foundation
import Messaging

struct Top: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show queue and workers, redrawn every second, until q is pressed.",
    discussion: "Where it is no terminal that it writes to, shows them once.")

  @OptionGroup
  var daemon: DaemonOptions

  @OptionGroup
  var terminal: TerminalOptions

  func run() throws {
    let terminal = terminal.terminal(STDOUT_FILENO)
    guard terminal.rewrites else {
      let snapshot = try TopSnapshot(from: daemon.client(), isElsewhere: daemon.isElsewhere)
      let screen = TopScreen(snapshot: snapshot, now: Date())
      return terminal.print(screen.lines(columns: terminal.columns, rows: nil))
    }
    // Before there is another thread, so that none is interrupted by them.
    let signals = try SignalDescriptor([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP])
    let source = try TopSource(daemon)
    let screen = FullScreen(terminal)
    defer { screen.leave() }
    var ended: Int32?
    while ended == nil {
      let (columns, rows) = terminal.size
      let view = TopScreen(snapshot: source.latest, now: Date())
      // Erasing the rest of a line that is full would take its last letter on some terminals.
      screen.draw(view.lines(columns: columns - 1, rows: rows))
      ended = try wait(signals, source, screen)
    }
    screen.leave()
    // Ctrl-C is how it is ended, no failure.
    if let ended, ended == SIGTERM || ended == SIGHUP || ended == SIGQUIT {
      throw ExitCode(128 + ended)
    }
  }

  /// Until there is something new to draw.
  /// - Returns: the signal that ends it, 0 for the key that does; `nil` where it goes on.
  private func wait(_ signals: SignalDescriptor, _ source: TopSource, _ screen: FullScreen) throws
    -> Int32?
  {
    var sources: [Poller.Source] = [
      .descriptor(signals.descriptor), .descriptor(source.wakeUp.descriptor),
    ]
    if let keyboard = screen.keyboard { sources.append(.descriptor(keyboard)) }
    let ready = try Poller.wait(for: sources, milliseconds: 1000)
    if ready[1] { source.wakeUp.silence() }
    for signal in signals.read() {
      switch signal {
      case SIGWINCH: continue
      case SIGTSTP:
        screen.leave()
        // Goes on here when the shell says so.
        kill(getpid(), SIGSTOP)
        screen.enter()
      default: return signal
      }
    }
    guard ready.count > 2, ready[2] else { return nil }
    let keys = screen.keys()
    if keys.isEmpty {
      // The terminal is gone, or whoever has it does not let this program read.
      usleep(100_000)
    }
    // q, Q, and Ctrl-D, which is no signal.
    return keys.contains { [0x71, 0x51, 0x04].contains($0) } ? 0 : nil
  }
}

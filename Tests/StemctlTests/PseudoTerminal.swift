import Foundation

/// A terminal of a given size that somebody types and looks at: the test.
final class PseudoTerminal {
  /// The test's end, and the program's.
  let ours: Int32
  let theirs: Int32
  private(set) var screen: Screen
  /// All that was written so far.
  private(set) var written = ""

  struct Failure: Error { var what: String }

  init(columns: Int, rows: Int = 24) throws {
    ours = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
    // TIOCSPTLCK and TIOCGPTN, which unlock a pseudoterminal and give its number.
    var (locked, number): (Int32, Int32) = (0, 0)
    guard ours >= 0, ioctl(ours, 0x4004_5431, &locked) == 0, ioctl(ours, 0x8004_5430, &number) == 0
    else { throw Failure(what: "no pseudoterminal") }
    theirs = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY | O_CLOEXEC)
    guard theirs >= 0 else { throw Failure(what: "/dev/pts/\(number) cannot be opened") }
    screen = Screen(columns: columns, rows: rows)
    resize(columns: columns, rows: rows)
  }

  deinit { for end in [ours, theirs] { close(end) } }

  /// Whoever has it as its terminal is told with SIGWINCH by the system.
  func resize(columns: Int, rows: Int) {
    var size = winsize(
      ws_row: UInt16(rows), ws_col: UInt16(columns), ws_xpixel: 0, ws_ypixel: 0)
    _ = ioctl(ours, UInt(TIOCSWINSZ), &size)
    screen = Screen(columns: columns, rows: rows)
  }

  func type(_ text: String) { _ = text.withCString { write(ours, $0, strlen($0)) } }

  /// Starts a program with this as its standard streams.
  func start(_ program: URL, _ arguments: [String], environment: [String: String] = [:]) throws
    -> Process
  {
    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(
      ["TERM": "xterm-256color", "NO_COLOR": ""].merging(environment) { $1 }
    ) { $1 }
    let handle = FileHandle(fileDescriptor: theirs, closeOnDealloc: false)
    (process.standardInput, process.standardOutput) = (handle, handle)
    process.standardError = handle
    try process.run()
    return process
  }

  /// Reads on until the screen is as it should be.
  func wait(seconds: Double = 60, until condition: (Screen) -> Bool) throws {
    let deadline = Date(timeIntervalSinceNow: seconds)
    while !condition(screen) {
      guard Date() < deadline else {
        throw Failure(what: "the screen does not become so:\n\(screen.text)")
      }
      readOn(milliseconds: 50)
    }
  }

  /// Reads what there is, or what comes within a while.
  func readOn(milliseconds: Int32) {
    var descriptor = pollfd(fd: ours, events: Int16(POLLIN), revents: 0)
    var patience = milliseconds
    while poll(&descriptor, 1, patience) > 0, descriptor.revents & Int16(POLLIN) != 0 {
      patience = 0
      var bytes = [UInt8](repeating: 0, count: 4096)
      let count = read(ours, &bytes, bytes.count)
      guard count > 0 else { return }
      pending += bytes.prefix(count)
      // A letter may come in two pieces.
      guard let text = String(validating: pending, as: UTF8.self) else { continue }
      pending = []
      written += text
      screen.take(text)
    }
  }

  private var pending: [UInt8] = []
}

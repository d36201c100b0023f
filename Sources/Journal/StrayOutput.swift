import CLinux
import Foundation
import Synchronization

/// What libraries and the language's runtime write to standard output and error, past the log:
/// becomes lines of the log, so that none goes without its fields. A crash waits for its last words
/// to get there.
public struct StrayOutput {
  /// Where standard error led before: the place for the log's own lines.
  public let standardError: Int32

  /// The end of the pipe that is read, for the handler of a crash.
  private static let input = Atomic<Int32>(-1)
  /// Whether what was read is on its way to the log.
  private static let isLogging = Atomic(false)
  private static let crashes = [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP]

  public init() {
    let copy = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)
    standardError = copy < 0 ? STDERR_FILENO : copy
  }

  /// From now on both streams lead here. Call it once, when nothing but the log is to say anything
  /// any more; where the system refuses a pipe, they stay what they were.
  /// - Parameter log: gets each line, on a thread of its own.
  public func divert(to log: @escaping @Sendable (String) -> Void) {
    var ends: [Int32] = [-1, -1]
    guard standardError != STDERR_FILENO, pipe2(&ends, O_CLOEXEC) == 0 else { return }
    // A library's printf is heard when its line ends, not when its buffer is full.
    stem_buffer_standard_output_by_line()
    dup2(ends[1], STDOUT_FILENO)
    dup2(ends[1], STDERR_FILENO)
    close(ends[1])
    let input = ends[0]
    Self.input.store(input, ordering: .releasing)
    let thread = Thread {
      var lines = LineSplitter()
      var buffer = [UInt8](repeating: 0, count: 4096)
      while true {
        // Whatever is read is first seen to be there, so that it is unread or on its way.
        var unread = pollfd(fd: input, events: Int16(POLLIN), revents: 0)
        guard poll(&unread, 1, -1) > 0 else {
          if errno == EINTR { continue }
          return
        }
        Self.isLogging.store(true, ordering: .sequentiallyConsistent)
        let count = read(input, &buffer, buffer.count)
        guard count > 0 || (count < 0 && errno == EINTR) else { return }
        for line in lines.take(buffer[..<max(0, count)]) { log(line) }
        Self.isLogging.store(false, ordering: .sequentiallyConsistent)
      }
    }
    thread.name = "stray output"
    thread.start()
    for signal in Self.crashes {
      sigaction(signal, nil, Self.before + Int(signal))
      Glibc.signal(signal, Self.awaitLastWords)
    }
  }

  /// What handled a signal before, such as the runtime's backtraces, which let no other thread go on.
  nonisolated(unsafe) private static let before = {
    let actions = UnsafeMutablePointer<sigaction>.allocate(capacity: 65)
    actions.initialize(repeating: sigaction(), count: 65)
    return actions
  }()

  /// Lets the thread that reads come to the end of what is there, and then lets the signal do what
  /// it did before. Calls nothing that a handler must not.
  private static let awaitLastWords: @convention(c) (Int32) -> Void = { signal in
    var unread = pollfd(fd: input.load(ordering: .acquiring), events: Int16(POLLIN), revents: 0)
    // Soon, unless the log is held up for good.
    var patience = 5000
    while patience > 0,
      poll(&unread, 1, 0) > 0 || isLogging.load(ordering: .sequentiallyConsistent)
    {
      usleep(1000)
      patience -= 1
    }
    sigaction(signal, before + Int(signal), nil)
    // It comes when this one is over.
    raise(signal)
  }
}

import CLinux
import Foundation

/// A running child process, with a socket for frames and a pipe for its last words. It is killed
/// and reaped, at the latest, at the end of its owner's life.
final class ChildProgram {
  enum Exit: Equatable {
    case status(Int32)
    case signal(Int32)
    /// Someone else has reaped it.
    case unknown
  }

  /// Where the child's descriptors come from.
  enum Wiring {
    /// 0 is this file, 1 the frame socket.
    case reads(descriptor: Int32)
    /// 0 is the frame socket, 1 this file, 3 the file whose sound goes with it, if there is one.
    case writes(descriptor: Int32, sound: Int32?)
  }

  let pid: pid_t
  private let exitDescriptor: Int32
  private var frames: Int32
  private var messages: Int32
  private var text: [UInt8] = []
  private var exit: Exit?

  private let patience: Patience
  private var lastSign = ContinuousClock.now
  private let start = ContinuousClock.now

  /// How long to wait for a child.
  struct Patience {
    /// For a byte more, either way.
    var stall: Duration
    /// For all of it.
    var total: Duration
    var isCancelled: () -> Bool
  }

  struct Stalled: Error { var after: Duration }

  /// - Throws: `VideoFailure` where the program cannot be started.
  init(program: String, arguments: [String], wiring: Wiring, patience: Patience) throws {
    self.patience = patience
    var sockets: [Int32] = [-1, -1]
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &sockets) == 0
    else { throw Self.shortage(errno) }
    var pipes: [Int32] = [-1, -1]
    guard pipe2(&pipes, O_CLOEXEC) == 0 else {
      let code = errno
      for socket in sockets { close(socket) }
      throw Self.shortage(code)
    }
    (frames, messages) = (sockets[0], pipes[0])
    let childEnds = [sockets[1], pipes[1]]
    defer { for end in childEnds { close(end) } }

    let descriptors =
      switch wiring {
      case .reads(let descriptor): [descriptor, sockets[1], pipes[1]]
      case .writes(let descriptor, let sound):
        [sockets[1], descriptor, pipes[1]] + (sound.map { [$0] } ?? [])
      }
    do {
      pid = try Self.spawn(program, arguments, descriptors)
    } catch {
      close(frames)
      close(messages)
      throw error
    }
    exitDescriptor = pidfd_open(pid, 0)
    // This end alone must not wait: what else holds the pipe decides nothing.
    _ = fcntl(messages, F_SETFL, fcntl(messages, F_GETFL) | O_NONBLOCK)
  }

  deinit {
    kill()
    close(frames)
    if messages >= 0 { close(messages) }
    if exitDescriptor >= 0 { close(exitDescriptor) }
  }

  // MARK: Frames

  /// Fills `buffer`; less only at the end of what the child sends.
  /// - Throws: `Stalled`, `CancellationError`.
  func receive(_ buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    var count = 0
    while count < buffer.count {
      let got = recv(frames, buffer.baseAddress! + count, buffer.count - count, Int32(MSG_DONTWAIT))
      if got > 0 {
        count += got
        lastSign = .now
      } else if got == 0 || (errno != EAGAIN && errno != EINTR) {
        return count
      } else if errno == EAGAIN {
        try wait(for: frames, Int16(POLLIN))
      }
    }
    return count
  }

  /// The child does not take more bytes.
  struct Closed: Error {}

  /// - Throws: `Closed`, `Stalled`, `CancellationError`.
  func send(_ buffer: UnsafeRawBufferPointer) throws {
    var count = 0
    while count < buffer.count {
      let flags = Int32(MSG_DONTWAIT | MSG_NOSIGNAL)
      let put = Glibc.send(frames, buffer.baseAddress! + count, buffer.count - count, flags)
      if put > 0 {
        count += put
        lastSign = .now
      } else if put < 0, errno == EAGAIN {
        try wait(for: frames, Int16(POLLOUT))
      } else if put < 0, errno != EINTR {
        throw Closed()
      }
    }
  }

  /// Nothing more will be sent.
  func endSending() { shutdown(frames, Int32(SHUT_WR)) }

  // MARK: The end

  /// Waits for the child's end.
  /// - Throws: `Stalled`, `CancellationError`; the child lives on.
  func waitForExit() throws -> Exit {
    while true {
      if let exit { return exit }
      reap(WNOHANG)
      if let exit {
        drainMessages()
        return exit
      }
      try wait(for: exitDescriptor, Int16(POLLIN))
    }
  }

  /// Ends the child and all that it has started; nothing of it remains.
  func kill() {
    guard exit == nil else { return }
    // Its group first, for which it must not be reaped yet; itself too, in case the group is not
    // made.
    _ = Glibc.kill(-pid, SIGKILL)
    _ = Glibc.kill(pid, SIGKILL)
    reap(0)
    drainMessages()
  }

  /// What the child wrote to its standard error, by lines.
  var lines: [String] {
    String(decoding: text, as: UTF8.self).split(separator: "\n").map { printable($0) }
  }

  /// The same on one line.
  var lastWords: String {
    printable(String(decoding: text, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines))
  }

  private func reap(_ options: Int32) {
    var status: Int32 = 0
    while true {
      let result = waitpid(pid, &status, options)
      if result == pid {
        let signal = status & 0x7f
        exit = signal == 0 ? .status((status >> 8) & 0xff) : .signal(signal)
      } else if result < 0, errno == EINTR {
        continue
      } else if result < 0 {
        exit = .unknown
      }
      return
    }
  }

  // MARK: Waiting

  /// Returns when `descriptor` is ready, or a short while has passed.
  private func wait(for descriptor: Int32, _ events: Int16) throws {
    if patience.isCancelled() { throw CancellationError() }
    let now = ContinuousClock.now
    let left = min(patience.stall - (now - lastSign), patience.total - (now - start))
    guard left > .zero else { throw Stalled(after: min(patience.stall, patience.total)) }
    var descriptors = [
      pollfd(fd: descriptor, events: events, revents: 0),
      pollfd(fd: messages, events: Int16(POLLIN), revents: 0),
    ]
    let milliseconds = Int32(min(left, .milliseconds(100)) / .milliseconds(1)) + 1
    // Without a descriptor for its end, the child is looked after more often.
    _ = poll(&descriptors, 2, descriptor < 0 ? min(milliseconds, 5) : milliseconds)
    if descriptors[1].revents != 0 { drainMessages() }
  }

  private func drainMessages() {
    var buffer = [UInt8](repeating: 0, count: 4096)
    while messages >= 0 {
      let got = read(messages, &buffer, buffer.count)
      if got > 0 {
        lastSign = .now
        // A page is a sentence or a stack trace's head; the rest is read so that the child does not
        // wait, and dropped.
        text.append(contentsOf: buffer[..<got].prefix(4096 - text.count))
      } else if got < 0, errno == EINTR {
        continue
      } else if got < 0, errno == EAGAIN {
        return
      } else {
        close(messages)
        messages = -1
      }
    }
  }

  // MARK: Starting

  /// - Parameter descriptors: what the child has as 0, 1, 2 and so on.
  private static func spawn(
    _ program: String, _ arguments: [String], _ descriptors: [Int32]
  ) throws -> pid_t {
    // The child's own must not be overwritten before they are copied, should the parent have been
    // started without some.
    let count = Int32(descriptors.count)
    var copies: [Int32] = []
    defer { for copy in copies { close(copy) } }
    for descriptor in descriptors {
      let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, count)
      guard copy >= 0 else { throw shortage(errno) }
      copies.append(copy)
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (target, copy) in copies.enumerated() {
      posix_spawn_file_actions_adddup2(&actions, copy, Int32(target))
    }
    posix_spawn_file_actions_addclosefrom_np(&actions, count)

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
    posix_spawnattr_setpgroup(&attributes, 0)
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)

    var pid: pid_t = 0
    let code = withCStrings([program] + arguments) { arguments in
      withCStrings(environment) { posix_spawn(&pid, program, &actions, &attributes, arguments, $0) }
    }
    guard code == 0 else {
      throw VideoFailure(
        .resources,
        "was not touched: \(program) cannot be started: \(String(cString: strerror(code)))")
    }
    return pid
  }

  /// Small and the same everywhere; the search path for libraries alone is handed on, for programs
  /// that need it to start.
  private static var environment: [String] {
    var result = ["LC_ALL=C", "PATH=/usr/bin:/bin", "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1"]
    if let path = ProcessInfo.processInfo.environment["LD_LIBRARY_PATH"] {
      result.append("LD_LIBRARY_PATH=\(path)")
    }
    return result
  }

  private static func shortage(_ code: Int32) -> VideoFailure {
    VideoFailure(
      .resources,
      "was not touched: no process can be started for it: \(String(cString: strerror(code)))")
  }
}

private func withCStrings<Result>(
  _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
) -> Result {
  let pointers = strings.map { strdup($0) } + [nil]
  defer { for pointer in pointers { free(pointer) } }
  return body(pointers)
}

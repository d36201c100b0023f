import Foundation
import JobQueue

/// How a worker process is started.
struct WorkerProgram {
  var path: String
  /// Threads that each computes with.
  var threads: Int

  /// - Returns: its process id.
  /// - Throws: `SystemFailure`
  func start(name: String, endpoint: String) throws -> pid_t {
    let arguments = [
      path, "run", "--endpoint", endpoint, "--name", name, "--threads", "\(threads)", "--parent",
      "\(getpid())",
    ]
    // Only the daemon speaks to the service manager.
    let forbidden = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]
    let environment = ProcessInfo.processInfo.environment.filter { !forbidden.contains($0.key) }.map
    { "\($0.key)=\($0.value)" }

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // What the daemon blocks and ignores is its own affair.
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    var defaults = sigset_t()
    sigemptyset(&defaults)
    for signal in [SIGPIPE, SIGTERM, SIGINT, SIGCHLD, SIGHUP] { sigaddset(&defaults, signal) }
    posix_spawnattr_setsigdefault(&attributes, &defaults)
    // A process group of its own, lest Ctrl-C on the terminal ends it before the daemon has told it
    // to stop.
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))

    var cArguments = arguments.map { strdup($0) } + [nil]
    var cEnvironment = environment.map { strdup($0) } + [nil]
    defer {
      for pointer in cArguments + cEnvironment { free(pointer) }
    }
    var process: pid_t = 0
    let result = posix_spawn(&process, path, nil, &attributes, &cArguments, &cEnvironment)
    guard result == 0 else {
      throw SystemFailure("the worker \(displayName(path)) cannot be started", code: result)
    }
    return process
  }
}

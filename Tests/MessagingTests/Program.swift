import Foundation

/// One of the package's programs as a process of its own.
struct Program {
  struct Outcome {
    var status: Int32
    var output: String
    var errors: String
  }

  /// The programs are built next to the tests.
  static func url(_ name: String) -> URL {
    URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().appending(
      path: name)
  }

  /// Runs to the end; what it writes must fit into a pipe.
  static func run(_ name: String, _ arguments: [String], environment: [String: String] = [:]) throws
    -> Outcome
  {
    let process = Process()
    process.executableURL = url(name)
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
    let (output, errors) = (Pipe(), Pipe())
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    process.waitUntilExit()
    func text(_ pipe: Pipe) throws -> String {
      String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    }
    return Outcome(
      status: process.terminationStatus, output: try text(output), errors: try text(errors))
  }
}

import Foundation
import JobQueue
import Messaging
import ServiceConfiguration
import Testing

@Suite(.serialized) struct ConfigurationServiceTests {
  @Test("a running daemon says what is in force, and where each value comes from")
  func config() throws {
    let service = try Service(
      configuration: "precision: full\nlimits:\n  run_time: 3600\n",
      environment: ["STEMD_CACHE_BYTES": "3 GiB"])
    guard case .config(let values) = try service.ask(.config) else { throw Service.Unexpected() }
    #expect(values.map(\.key) == ConfigurationKey.all.map(\.name))
    func value(_ key: String) throws -> ConfigurationValue {
      try #require(values.first { $0.key == key })
    }
    #expect(try value("workers").origin == "--workers")
    #expect(try value("precision").origin == "\(service.configurationPath), line 1")
    #expect(try value("limits.run_time").value == "3600")
    #expect(try value("limits.run_time").line == 3)
    #expect(try value("cache_bytes").value == "3 GiB")
    #expect(try value("cache_bytes").origin == "$STEMD_CACHE_BYTES")
    #expect(try value("inbox_poll").origin == "default")
    // Not the rule, but what it came to.
    #expect(
      try value("threads").meaning == "\(ProcessInfo.processInfo.activeProcessorCount)")
    // What is printed is a configuration that says the same.
    let printed = try Service.run(
      "stemctl", ["config", "--root", service.folders.root.path(percentEncoded: false)])
    #expect(printed.contains("  # $STEMD_CACHE_BYTES"), "\(printed)")
    let copy = service.path("copy.yaml")
    try Data(printed.utf8).write(to: URL(filePath: copy))
    let read = try ConfigurationSources(file: copy, environment: [:]).load().values
    #expect(read.precision == .full && read.limits.runTime == 3600 && read.cacheBytes == 3 << 30)
    #expect(read.limits.uploads == Configuration().limits.uploads && read.listen == nil)
  }

  @Test("stemctl checks and shows files without a daemon")
  func files() throws {
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "stemctl-config-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(
      at: folder.appending(path: "stemd.yaml.d"), withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let main = folder.appending(path: "stemd.yaml").path(percentEncoded: false)
    let dropIn = folder.appending(path: "stemd.yaml.d/ours.yaml")
    try Data("workers: 2\n".utf8).write(to: URL(filePath: main))
    try Data("threads: 3\n".utf8).write(to: dropIn)
    #expect(try Service.run("stemctl", ["config", "--check", "--config", main]) == "")
    let lines = try Service.run("stemctl", ["config", "--files", "--config", main]).split(
      separator: "\n")
    #expect(lines.contains { $0.hasPrefix("workers: 2 ") && $0.hasSuffix("# \(main), line 1") })
    #expect(lines.contains { $0.hasPrefix("threads: 3 ") && $0.hasSuffix("ours.yaml, line 1") })
    #expect(lines.contains { $0.hasPrefix("listen: ") && $0.hasSuffix("# default: none") })

    try Data("threads: none\n".utf8).write(to: dropIn)
    let process = Process()
    process.executableURL = Service.program("stemctl")
    process.arguments = ["config", "--check", "--config", main]
    let errors = Pipe()
    process.standardError = errors
    try process.run()
    let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 1)
    #expect(
      said.contains(
        "ours.yaml, line 1: 'threads' takes a whole number from 1 to 1024, not 'none'"), "\(said)")
  }
}

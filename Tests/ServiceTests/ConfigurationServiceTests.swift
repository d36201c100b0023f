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

  @Test("SIGHUP applies what may change at once, names what needs a restart, and tells systemd")
  func reload() throws {
    let notify = try NotifySocket()
    let service = try Service(
      workers: nil, configuration: "workers: 2\n", environment: ["NOTIFY_SOCKET": notify.path])
    try service.eventually("two workers are ready") { try service.workerStatuses().count == 2 }
    func reload(_ text: String) throws {
      try Data(text.utf8).write(to: URL(filePath: service.configurationPath))
      let known = notify.messages.count
      service.send(SIGHUP)
      try service.eventually("it is ready again") {
        notify.messages.dropFirst(known).contains("READY=1")
      }
      let told = notify.messages.dropFirst(known).filter { !$0.hasPrefix("STATUS=") }
      let start = try #require(told.first)
      #expect(start.hasPrefix("RELOADING=1\nMONOTONIC_USEC="))
      #expect(UInt64(start.split(separator: "=").last ?? "") ?? 0 > 0)
      #expect(Array(told.dropFirst().prefix(1)) == ["READY=1"])
    }
    func value(_ key: String) throws -> ConfigurationValue {
      guard case .config(let values) = try service.ask(.config) else { throw Service.Unexpected() }
      return try #require(values.first { $0.key == key })
    }
    #expect(notify.messages.contains("READY=1"))

    try reload(
      """
      workers: 3
      threads: 1
      inbox_poll: 0.5
      listen: tcp://127.0.0.1:7
      limits:
        job_bytes: 1000
      """)
    #expect(service.log.contains("changed: 'workers' is 3, and was 2 ("))
    #expect(service.log.contains("changed: 'limits.job_bytes' is 1000, and was 8 GiB ("))
    #expect(
      service.log.contains(
        "needs a restart: 'listen' stays none, and will be tcp://127.0.0.1:7 (\(service.configurationPath), line 4)"
      ))
    #expect(try value("workers").value == "3")
    #expect(try value("listen").value == nil)
    #expect(try value("listen").afterRestart == "tcp://127.0.0.1:7")
    // They may have had a thread already, on a machine with two processors.
    try service.eventually("three workers with a thread each are ready") {
      let workers = try service.workerStatuses()
      return workers.count == 3 && workers.allSatisfy { $0.threads == 1 }
    }
    #expect(throws: Refusal.self) { try service.submit("ball", Service.settings()) }

    // With a mistake nothing changes, not even what is right.
    try reload("workers: 1\nlimits:\n  job_bytes: large\n")
    #expect(
      service.log.contains(
        "the settings stay as they were: \(service.configurationPath), line 3: 'limits.job_bytes' takes a size"
      ))
    #expect(try value("workers").value == "3")
    #expect(try service.workerStatuses().count == 3)

    // Fewer workers: the jobs of the others are finished first.
    try reload("workers: 3\nthreads: 1\n")
    for name in ["a", "b", "c"] { try service.submit(name, Service.settings(steps: 60)) }
    try service.eventually("all workers have a job") {
      try service.workerStatuses().filter { $0.job != nil }.count == 3
    }
    try reload("workers: 1\nthreads: 1\n")
    for name in ["a", "b", "c"] {
      let job = try service.finished(name)
      #expect(job.state == .done && job.attempts == 1)
    }
    try service.eventually("one worker is left") {
      try service.workerStatuses().map(\.name) == ["worker-1"]
    }
    try reload("workers: 1\nthreads: 1\n")
    #expect(service.log.contains("the settings were read again: nothing has changed"))
    try service.submit("last", Service.settings())
    #expect(try service.finished("last").state == .done)
  }
}

import EditSettings
import Foundation
import Testing
import Yams

@testable import ServiceConfiguration

@Suite struct ConfigurationTests {
  /// A folder with a main file and drop-ins, gone with the test.
  final class Files {
    let base = FileManager.default.temporaryDirectory.appending(
      path: "stemd-configuration-\(UUID().uuidString.prefix(8))")
    var main: String { base.appending(path: "stemd.yaml").path(percentEncoded: false) }

    init(_ text: String? = nil, _ dropIns: [String: String] = [:]) throws {
      let folder = base.appending(path: "stemd.yaml.d")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      if let text { try Data(text.utf8).write(to: URL(filePath: main)) }
      for (name, text) in dropIns { try Data(text.utf8).write(to: folder.appending(path: name)) }
    }

    deinit { try? FileManager.default.removeItem(at: base) }

    func sources(
      _ environment: [String: String] = [:], _ options: [ConfigurationSources.Option] = []
    ) -> ConfigurationSources {
      ConfigurationSources(file: main, environment: environment, options: options)
    }
  }

  static func origin(_ key: String, _ resolved: ResolvedConfiguration) throws -> ConfigurationOrigin
  {
    resolved.origin(of: try #require(ConfigurationKey.named(key)))
  }

  static let shipped = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appending(path: "etc/stemd.yaml")

  @Test("the configuration that is shipped says nothing, and names every key with its default")
  func shippedFile() throws {
    let text = try String(contentsOf: Self.shipped, encoding: .utf8)
    let files = try Files(text)
    #expect(try files.sources().load().values == Configuration())
    // A setting is a comment without a space.
    let uncommented = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      line.replacing(#/^( *)#([a-z])/#) { $0.output.1 + $0.output.2 }
    }.joined(separator: "\n")
    let uncommentedFiles = try Files(uncommented)
    let everything = try uncommentedFiles.sources().load()
    #expect(everything.values == Configuration())
    for key in ConfigurationKey.all {
      guard case .file(_, .some) = everything.origin(of: key) else {
        Issue.record("\(key.name) is missing")
        continue
      }
    }
    let root = try #require(try Yams.compose(yaml: uncommented)?.mapping)
    let names = root.flatMap { key, value in
      value.mapping.map { $0.keys.map { "\(key.string ?? "").\($0.string ?? "")" } } ?? [
        key.string ?? ""
      ]
    }
    #expect(names == ConfigurationKey.all.map(\.name))
    // What a default is, not only that none was changed: an empty value would do for that.
    for key in ConfigurationKey.all where key.absent == nil {
      let value = try #require(key.text(Configuration()))
      let own = key.name.split(separator: ".").last ?? ""
      #expect(
        uncommented.split(separator: "\n").contains {
          $0.drop { $0 == " " } == "\(own): \(value)"
        }, "\(key.name): \(value)")
    }
  }

  @Test("the man page describes every key, in its order")
  func manual() throws {
    let page = Self.shipped.deletingLastPathComponent().deletingLastPathComponent().appending(
      path: "Docs/man/stemd.yaml.5")
    let keys = try String(contentsOf: page, encoding: .utf8).split(separator: "\n").compactMap {
      $0.hasPrefix(".It Ic ") ? String($0.dropFirst(7)) : nil
    }
    let known = ConfigurationKey.all.map(\.name)
    let groups = ConfigurationKey.groups.sorted()
    #expect(
      keys == known.filter { !$0.contains(".") } + groups
        + known.filter { $0.contains(".") }.map { $0.split(separator: ".").last.map(String.init)! })
  }

  @Test("options go before the environment, that before drop-ins by name, those before the file")
  func precedence() throws {
    let files = try Files(
      "workers: 1\nthreads: 1\nprecision: full\ncheckpoint_interval: 1\nlimits:\n  uploads: 1\n  frames: 1\n",
      [
        "20-b.yaml": "threads: 4\ncheckpoint_interval: 4\nlimits: {frames: 3}",
        "10-a.yaml": "workers: 3\nthreads: 3\nlimits:\n  frames: 2\n  run_time: 9\n",
        ".hidden.yaml": "nonsense: 1", "notes.txt": "nonsense: 1",
      ])
    let resolved = try files.sources(
      [
        "STEMD_CHECKPOINT_INTERVAL": "7", "STEMD_LIMITS_RUN_TIME": "12.5", "STEMD_WORKERS": "5",
        "STEMD_THREADS": "", "STEMD_ROOT": "/x", "PATH": "/bin",
        "STEMD_SUBMIT_FOLDERS": "/srv/a:/srv/b c",
      ], [.init("--workers", key: "workers", text: "6")]
    ).load()
    let values = resolved.values
    #expect(values.workers == 6 && values.threads == 4 && values.precision == .full)
    #expect(values.checkpointInterval == 7 && values.limits.runTime == 12.5)
    #expect(values.limits.uploads == 1 && values.limits.frames == 3)
    #expect(values.submitFolders == ["/srv/a", "/srv/b c"])
    #expect(resolved.warnings == [])
    #expect(try Self.origin("workers", resolved) == .option("--workers"))
    #expect(try Self.origin("limits.run_time", resolved) == .variable("STEMD_LIMITS_RUN_TIME"))
    #expect(try Self.origin("threads", resolved) == .file(files.main + ".d/20-b.yaml", line: 1))
    #expect(try Self.origin("limits.uploads", resolved) == .file(files.main, line: 6))
    #expect(try Self.origin("models", resolved) == .standard)
    #expect(
      resolved.files == [files.main, files.main + ".d/10-a.yaml", files.main + ".d/20-b.yaml"])
  }

  @Test("a quality that the codec does not take is told with its place")
  func videoQuality() throws {
    let files = try Files("video: {codec: av1, quality: 60}")
    #expect(try files.sources().load().values.video == VideoCoding(codec: .av1, quality: 60))
    let error = #expect(throws: ConfigurationError.self) {
      try files.sources(["STEMD_VIDEO_CODEC": "hevc"]).load()
    }
    #expect(
      error?.description
        == "\(files.main), line 1: 'video.quality' does not fit 'video.codec': hevc takes a quality from 0 to 51, not 60"
    )
  }

  @Test("a key without a value takes an earlier file's back; a group without keys takes nothing")
  func backToTheDefault() throws {
    let files = try Files(
      "workers: 4\nlimits:\n  run_time: 5\n", ["a.yaml": "workers:\nlimits:\n  #run_time: 3\n"])
    let resolved = try files.sources().load()
    #expect(resolved.values.workers == 1 && resolved.values.limits.runTime == 5)
    #expect(try Self.origin("workers", resolved) == .file(files.main + ".d/a.yaml", line: 1))
  }

  @Test(
    "a mistake in any place is told with the place and what it takes",
    arguments: [
      (
        "workers: 999", "", [:],
        "MAIN, line 1: 'workers' takes a whole number from 0 to 256, not '999'"
      ),
      (
        "", "\nlimits:\n  run_time: x\n", [:],
        "MAIN.d/a.yaml, line 3: 'limits.run_time' takes a number of seconds from 1 to 1000000000, not 'x'"
      ),
      (
        "", "", ["STEMD_PRECISION": "half"],
        "$STEMD_PRECISION: 'precision' takes one of auto, full, mixed, not 'half'"
      ),
      ("", "", ["STEMD_LIMITS_MESSAGE_BYTES": "1"], "takes a size from 1 MiB to 64 MiB, not '1'"),
      ("", "a: b: c", [:], "MAIN.d/a.yaml, line 1 or the one before it, is not YAML"),
      ("", "[1, 2]", [:], "MAIN.d/a.yaml, line 1: the file must hold keys with values"),
      ("limits: 3", "", [:], "MAIN, line 1: 'limits' takes keys with values"),
      ("worker: 1", "", [:], "MAIN, line 1: there is no key 'worker'; did you mean 'workers'?"),
      ("frames: 1", "", [:], "there is no key 'frames'; it belongs below 'limits'"),
      (
        "limits:\n  workers: 1", "", [:],
        "MAIN, line 2: there is no key 'limits.workers'; 'workers' stands at the beginning of its line"
      ),
      ("colour: red", "", [:], "there is no key 'colour'; there are workers, threads, models,"),
      (
        "submit_folders: [srv]", "", [:],
        "takes a list of folders with absolute paths, such as [/srv/clips], not a list"
      ),
      (
        "default_model: ../x", "", [:],
        "takes the plain name of a folder or file among the models, not '../x'"
      ),
      (
        "metrics_file: /tmp/metrics", "", [:],
        "takes the absolute path of a file whose name ends in .prom, not '/tmp/metrics'"
      ),
      ("inbox_poll: .nan", "", [:], "takes a number of seconds from 0.1 to 86400"),
      ("cache_bytes: 99999999999 GiB", "", [:], "takes a size such as 1000000, 64 MiB or 8 GiB"),
    ])
  func mistakes(main: String, dropIn: String, environment: [String: String], sentence: String)
    throws
  {
    let files = try Files(main, dropIn.isEmpty ? [:] : ["a.yaml": dropIn])
    let error = try #require(throws: ConfigurationError.self) {
      try files.sources(environment).load()
    }
    #expect(
      error.description.contains(sentence.replacing("MAIN", with: files.main)),
      "\(error.description)")
  }

  @Test("a file that is named must be there; the default one need not, nor its drop-ins")
  func missing() throws {
    let files = try Files(nil, ["a.yaml": "workers: 2"])
    #expect(throws: ConfigurationError.self) { try files.sources().load() }
    try #require(
      access(Configuration.defaultPath, F_OK) != 0, "this machine has a stemd of its own")
    #expect(try ConfigurationSources(environment: [:]).load().values == Configuration())
    #expect(
      try ConfigurationSources(file: "/dev/null", environment: [:]).load().values
        == Configuration())
  }

  @Test("variables that are no settings, and drop-ins that are not read, are warned of")
  func warnings() throws {
    let files = try Files("", ["a.yml": "workers: 2"])
    let warnings = try files.sources(["STEMD_WORKER": "2", "STEMD_PORT": "tcp://x"]).load().warnings
    #expect(
      warnings == [
        "\(files.main).d/a.yml is not read: the name of a drop-in ends in .yaml",
        "the variable STEMD_PORT is no setting, and is ignored",
        "the variable STEMD_WORKER is no setting, and is ignored: did you mean STEMD_WORKERS?",
      ])
  }

  @Test("a reload takes what may change, tells what changed, and leaves what needs a restart")
  func reload() throws {
    let files = try Files("workers: 2\nlisten: tcp://a:1\nlimits: {run_time: 5}")
    var resolved = try files.sources().load()
    #expect(resolved.reload(from: try files.sources().load()) == [])
    try Data("# a line more\nworkers: 3\nlimits: {message_bytes: 2 MiB}\n".utf8).write(
      to: URL(filePath: files.main))
    let read = try files.sources().load()
    #expect(
      resolved.reload(from: read) == [
        ConfigurationChange(
          key: "workers", before: "2", after: "3", origin: .file(files.main, line: 2),
          needsRestart: false),
        ConfigurationChange(
          key: "listen", before: "tcp://a:1", after: "none", origin: .standard, needsRestart: true),
        ConfigurationChange(
          key: "limits.message_bytes", before: "1 MiB", after: "2 MiB",
          origin: .file(files.main, line: 3), needsRestart: true),
        ConfigurationChange(
          key: "limits.run_time", before: "5", after: "none", origin: .standard,
          needsRestart: false),
      ])
    var expected = Configuration()
    (expected.workers, expected.listen) = (3, "tcp://a:1")
    #expect(resolved.values == expected)
    #expect(try Self.origin("workers", resolved) == .file(files.main, line: 2))
    #expect(try Self.origin("listen", resolved) == .file(files.main, line: 2))
    let listed = resolved.list(waiting: read)
    #expect(listed.first { $0.key == "listen" }?.afterRestart == "none")
    #expect(listed.filter { $0.afterRestart != nil }.count == 2)
  }

  @Test("every value is written in a way that is read as the same value")
  func roundTrip() throws {
    var configuration = Configuration()
    configuration.workers = 3
    configuration.threads = 2
    configuration.models = "/srv/it's # mine: all"
    configuration.defaultModel = "true"
    configuration.precision = .mixed
    configuration.listen = "tcp://[::1]:7070"
    configuration.listenWorkers = "tcp://*:7071"
    configuration.submitFolders = ["/srv/a, b", "/srv/c]"]
    configuration.checkpointInterval = 0.25
    configuration.cacheBytes = 12345
    configuration.inboxPoll = 2
    configuration.metricsFile = "/var/lib/node exporter/stemd.prom"
    configuration.metricsInterval = 30
    configuration.limits.spool.jobBytes = 3 << 30
    configuration.limits.spool.queueLength = 7
    configuration.limits.spool.spoolReserve = 5 << 10
    configuration.limits.messageBytes = 2 << 20
    configuration.limits.uploads = 5
    configuration.limits.connections = 9
    configuration.limits.frames = 8
    configuration.limits.framePixels = 77
    configuration.limits.workerMemory = 12 << 30
    configuration.limits.runTime = 86_400
    configuration.limits.stallTime = 61.5
    configuration.video = VideoCoding(codec: .av1, quality: 20)
    var yaml = ""
    for key in ConfigurationKey.all {
      #expect(
        key.text(configuration) != key.text(Configuration()), "\(key.name) is not tested here")
      let value = try #require(key.text(configuration))
      yaml +=
        key.group.map { "\($0): {\(key.name.dropFirst($0.count + 1)): \(value)}\n" }
        ?? "\(key.name): \(value)\n"
      let files = try Files(yaml)
      let read = try files.sources().load().values
      #expect(key.isEqual(read, configuration), "\(yaml)")
      yaml = ""
    }
  }
}

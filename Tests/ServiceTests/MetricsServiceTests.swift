import EditSettings
import Foundation
import Glibc
import JobQueue
import Messaging
import Testing

@Suite(.serialized) struct MetricsServiceTests {
  /// A file in Prometheus' text format, read as strictly as the collector reads it.
  private struct Metrics {
    private var samples: [String: Double] = [:]
    private(set) var types: [String: Substring] = [:]

    init(path: String) throws {
      let text = try String(contentsOfFile: path, encoding: .utf8)
      #expect(text.hasSuffix("\n"))
      var helped: String?
      var current: String?
      for line in text.split(separator: "\n") {
        if let match = line.wholeMatch(of: #/# HELP ([a-z_]+) (.+)/#) {
          // One metric's samples stand together, below its two lines.
          helped = String(match.output.1)
          #expect(types[helped ?? ""] == nil, "\(line)")
          continue
        }
        if let match = line.wholeMatch(of: #/# TYPE ([a-z_]+) (counter|gauge)/#) {
          current = String(match.output.1)
          #expect(current == helped, "\(line)")
          types[String(match.output.1)] = match.output.2
          #expect((match.output.2 == "counter") == match.output.1.hasSuffix("_total"), "\(line)")
          continue
        }
        let match = try #require(
          line.wholeMatch(of: #/(([a-z_]+)(?:\{[a-z_]+="[^"\\\n]*"\})?) ([0-9.e+-]+)/#), "\(line)")
        #expect(String(match.output.2) == current, "\(line)")
        let name = String(match.output.1)
        #expect(samples[name] == nil, "\(line)")
        let number: Double = try #require(Double(match.output.3), "\(line)")
        samples[name] = number
      }
    }

    subscript(_ sample: String) -> Double {
      get throws { try #require(samples[sample], "\(sample) is missing") }
    }
  }

  @Test("the metrics of a daemon at work are whole, in the right form, and true; none are left")
  func metrics() throws {
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "stemd-metrics-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "stemd.prom").path(percentEncoded: false)
    let service = try Service(configuration: "metrics_file: \(path)\nmetrics_interval: 1\n")
    func eventually(_ what: String, _ condition: (Metrics) throws -> Bool) throws {
      try service.eventually(what) {
        FileManager.default.fileExists(atPath: path) ? try condition(Metrics(path: path)) : false
      }
    }
    try service.submit("first", Service.settings("a photo of a purple ball", steps: 4))
    #expect(try service.finished("first").state == .done)
    try service.submit("second", Service.settings("a photo of a green ball", steps: 4))
    #expect(try service.finished("second").state == .done)
    service.drop("bad.mp4", try Service.clip.get())
    service.drop("bad.yaml", "nonsense: 1\n")
    #expect(try service.finished("bad").state == .failed)
    let long = try service.submit("long", Service.settings(steps: 900))
    try service.submit("waiting", Service.settings())
    try eventually("one runs and one waits") {
      try $0["stemd_jobs{state=\"running\"}"] == 1 && $0["stemd_jobs{state=\"queued\"}"] == 1
        && $0["stemd_queue_oldest_seconds"] > 0
    }
    let metrics = try Metrics(path: path)
    #expect(try metrics["stemd_jobs{state=\"done\"}"] == 2)
    #expect(try metrics["stemd_jobs{state=\"failed\"}"] == 1)
    #expect(try metrics["stemd_jobs_finished_total{state=\"done\"}"] == 2)
    #expect(try metrics["stemd_jobs_finished_total{state=\"failed\"}"] == 1)
    #expect(try metrics["stemd_jobs_finished_total{state=\"cancelled\"}"] == 0)
    #expect(try metrics["stemd_attempts_total"] == 3)
    #expect(try metrics["stemd_inversion_cache_hits_total"] == 1)
    #expect(try metrics["stemd_inversion_cache_misses_total"] == 1)
    #expect(try metrics["stemd_workers{state=\"busy\"}"] == 1)
    #expect(try metrics["stemd_workers{state=\"idle\"}"] == 0)
    #expect(try metrics["stemd_workers_configured"] == 1)
    #expect(try metrics["stemd_mode{mode=\"running\"}"] == 1)
    #expect(try metrics["stemd_mode{mode=\"paused\"}"] == 0)
    #expect(try metrics["stemd_info{version=\"0.1.0\"}"] == 1)
    // The stages' seconds are those that the results tell of.
    guard case .stats(let statistics) = try service.ask(.stats) else { throw Service.Unexpected() }
    for stage in EditProgress.Stage.allCases {
      let seconds = try metrics["stemd_stage_seconds_total{stage=\"\(stage.rawValue)\"}"]
      #expect(abs(seconds - (statistics.store.seconds[stage.rawValue] ?? 0)) < 1e-6)
    }
    #expect(try metrics["stemd_stage_seconds_total{stage=\"edit\"}"] > 0)

    // A worker that is lost is counted. (The runtime's handlers of a crash would go on after one that
    // somebody sent.)
    Glibc.kill(try #require(try service.workerStatuses().first?.pid), SIGXCPU)
    try eventually("it is counted") { try $0["stemd_workers_lost_total{reason=\"died\"}"] == 1 }
    _ = try service.ask(.cancel(job: long.id))
    try eventually("it is counted, too") {
      try $0["stemd_jobs_finished_total{state=\"cancelled\"}"] == 1
        && $0["stemd_queue_oldest_seconds"] == 0
    }

    // The collector is another user; nothing but the file is ever left.
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o644)
    let other = folder.appending(path: "other.prom").path(percentEncoded: false)
    try Data("metrics_file: \(other)\nmetrics_interval: 1\n".utf8).write(
      to: URL(filePath: service.configurationPath))
    service.send(SIGHUP)
    try service.eventually("it is the other file now") {
      service.names(folder).filter { !$0.hasPrefix(".") } == ["other.prom"]
    }
    service.send(SIGTERM)
    #expect(service.exitStatus() == 0)
    #expect(service.names(folder) == [])
  }

  @Test("metrics that cannot be written are one line, and nobody's trouble")
  func unwritable() throws {
    let service = try Service(
      configuration: "metrics_file: /proc/stemd/stemd.prom\nmetrics_interval: 1\n")
    try service.eventually("it is said") {
      service.log.contains("the metrics cannot be written to /proc/stemd/stemd.prom: ")
    }
    try service.submit("ball", Service.settings())
    #expect(try service.finished("ball").state == .done)
    usleep(2_500_000)
    #expect(service.log.split(separator: "the metrics cannot be written").count == 2)
  }
}

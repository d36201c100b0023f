import EditSettings
import Foundation
import Messaging
import Testing

@Suite struct VideoServiceTests {
  /// - Returns: what a program of the system printed.
  private func run(_ command: [String]) throws -> String {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = command
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(command)")
    return String(decoding: data, as: UTF8.self)
  }

  @Test("a job is coded as the configuration says when it begins, also after a reload")
  func assigned() throws {
    let service = try Service(workers: 0, configuration: "video: {codec: hevc, quality: 30}\n")
    let worker = try WorkerConnection(
      endpoint: service.folders.workerEndpoint, name: "w", threads: 1, spool: true)
    defer { worker.close() }
    func coding(of name: String) throws -> VideoCoding {
      let job = try service.submit(name, Service.settings())
      let assignment = try #require(worker.nextAssignment())
      worker.send(.failed(job: job.id, error: "no", mayPass: false))
      _ = try service.finished(name)
      return assignment.video
    }
    #expect(try coding(of: "before") == VideoCoding(codec: .hevc, quality: 30))
    try Data("video: {codec: vp9}\n".utf8).write(to: URL(filePath: service.configurationPath))
    service.send(SIGHUP)
    try service.eventually("it is read again") {
      service.log.contains("changed: 'video.codec' is vp9, and was hevc (")
    }
    #expect(try coding(of: "after") == VideoCoding(codec: .vp9))
  }

  @Test("an edit has the frames that its sidecar asks for, their sound, and the clip's size")
  func edited() throws {
    let service = try Service(configuration: "video: {codec: hevc}\n")
    let clip = service.path("clip.mkv")
    _ = try run(
      [
        "ffmpeg", "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i",
        "testsrc2=size=130x98:rate=10:duration=2", "-f", "lavfi", "-i", "sine=duration=2",
        "-c:v", "libx264", "-c:a", "libopus", clip,
      ])
    service.drop(
      "clip.yaml",
      "prompt: a ball\nsteps: 1\nsize: 64x64\nstart: 0.5\ncount: 3\nevery: 4\noutput_size: source\n"
    )
    service.drop("clip.mkv", try Data(contentsOf: URL(filePath: clip)))
    #expect(try service.finished("clip").state == .done)
    try service.eventually("it is delivered") { try service.job(named: "clip")?.outboxName != nil }
    func streams(of name: String) throws -> [String] {
      try run(
        [
          "ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width,height,nb_frames",
          "-of", "csv=p=0", service.outbox("clip/\(name)"),
        ]
      ).split(separator: "\n").map(String.init)
    }
    let edited = try streams(of: "edited.mp4")
    #expect(edited.first == "hevc,130,98,3")
    #expect(edited.count == 2 && edited.last?.hasPrefix("opus,") == true, "\(edited)")
    let comparison = try streams(of: "comparison.mp4")
    #expect(comparison.first == "h264,208,64,3")
    #expect(comparison.count == 2 && comparison.last?.hasPrefix("opus,") == true, "\(comparison)")
    #expect(
      try String(contentsOfFile: service.outbox("clip/job.log"), encoding: .utf8).contains(
        "shown at 130x98, edited at 64x64"))
    let settings = try #require(try service.result("clip")["settings"] as? [String: Any])
    #expect(settings["frames"] as? Int == 3 && settings["every"] as? Int == 4)
  }
}

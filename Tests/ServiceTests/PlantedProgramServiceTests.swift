import Foundation
import Glibc
import JobQueue
import Testing

/// What a video costs that takes over, crashes or balloons the process that opens it.
@Suite(.serialized) struct PlantedProgramServiceTests {
  /// A worker's program that can be exchanged beneath the worker, gone with the test. It lies beside
  /// the real one, for hard links.
  private final class Exchangeable {
    let folder = Service.program("planted-\(UUID().uuidString.prefix(8))")
    var program: String { folder.path(percentEncoded: false) + "/stem-worker" }

    init() throws {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
      try become("stem-worker")
    }

    func become(_ name: String) throws {
      let source = Service.program(name).path(percentEncoded: false)
      let aside = program + ".new"
      guard link(source, aside) == 0, rename(aside, program) == 0 else {
        throw Service.Unexpected()
      }
      // Renaming a file to another name of itself leaves both.
      unlink(aside)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }
  }

  @Test("such a video fails its own job with a sentence; worker and daemon live on")
  func planted() throws {
    let worker = try Exchangeable()
    let service = try Service(
      options: ["--worker-program", worker.program],
      configuration: "limits:\n  frame_pixels: 1000000\n")
    service.drop("before.mp4", try Service.clip.get())
    service.drop("before.yaml", Service.sidecar())
    #expect(try service.finished("before").state == .done)
    let daemon = try service.status().pid
    let processes = try service.workerStatuses().map(\.pid)
    #expect(processes.count == 1)

    // From here on, a video does as it likes with the process that opens it.
    try worker.become("confinement-probe")
    let other = service.outbox("before/source.mp4")
    for (name, video, says) in [
      (
        "network", "socket 2 1 0", "the system call socket, and was stopped; the file is suspicious"
      ),
      ("program", "execve /bin/sh 0 0", "the system call execve, and was stopped"),
      ("murder", "kill \(processes[0]) 9", "the system call kill, and was stopped"),
      ("spy", "openat -100 \(other) 0\nopenat -100 /etc/shadow 0", "openat: -13; openat: -13"),
      ("crash", "crash", "the decoder crashed on it (signal 11, "),
      ("balloon", "balloon 8589934592", "took "),
    ] {
      service.drop("\(name).mp4", video)
      service.drop("\(name).yaml", Service.sidecar())
      let job = try service.finished(name)
      #expect(job.state == .failed && job.error?.contains(says) == true, "\(job.error ?? "")")
      #expect(try service.result(name)["error"] as? String == job.error)
      #expect(try service.content("\(name)/job.log").contains(says))
    }

    try worker.become("stem-worker")
    service.drop("after.mp4", try Service.clip.get())
    service.drop("after.yaml", Service.sidecar())
    #expect(try service.finished("after").state == .done)
    #expect(try service.workerStatuses().map(\.pid) == processes)
    #expect(try service.status().pid == daemon)
  }

  @Test("without Landlock a worker says so, once, and edits")
  func withoutLandlock() throws {
    let worker = try Exchangeable()
    let script = worker.folder.path(percentEncoded: false) + "/without-landlock"
    let probe = Service.program("confinement-probe").path(percentEncoded: false)
    try Data(
      """
      #!/bin/sh
      exec '\(probe)' without landlock_create_ruleset '\(worker.program)' "$@"

      """.utf8
    ).write(to: URL(filePath: script))
    chmod(script, 0o755)
    let service = try Service(options: ["--worker-program", script])
    for name in ["one", "two"] {
      service.drop("\(name).mp4", try Service.clip.get())
      service.drop("\(name).yaml", Service.sidecar())
      #expect(try service.finished(name).state == .done)
    }
    #expect(service.log.components(separatedBy: "has no Landlock").count == 2)
  }
}

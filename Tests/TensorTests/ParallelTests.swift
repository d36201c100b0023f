import Foundation
import Testing

@Suite struct ParallelTests {
  @Test(
    "results are right also where OpenMP gives fewer threads than asked for",
    arguments: [["OMP_THREAD_LIMIT": "1"], ["OMP_DYNAMIC": "true"]])
  func smallerTeams(environment: [String: String]) throws {
    let repository = URL(filePath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let process = Process()
    process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
      .deletingLastPathComponent().appending(path: "stemctl")
    process.arguments = [
      "verify", repository.appending(path: "Models/tiny-world").path(percentEncoded: false),
      repository.appending(path: "Tests/VideoEditingTests/Goldens/tiny-world-104x72.safetensors")
        .path(percentEncoded: false), "--threads", "2",
    ]
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
  }
}

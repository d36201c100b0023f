import Foundation

@testable import VideoFile

/// The built `stem-worker`, beside the program that runs the tests.
let workerProgram = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().appendingPathComponent(
    "stem-worker")

let videoProcess = VideoProcess(program: workerProgram)

extension TemporaryFolder {
    /// A program that does whatever a shell script says.
    func program(_ script: String) throws -> URL {
        let path = try write("#!/bin/sh\n\(script)\n".utf8, to: "program-\(UUID().uuidString)")
        chmod(path, 0o755)
        return URL(fileURLWithPath: path)
    }
}

import Foundation

@testable import VideoFile

/// The built `stem-worker`, beside the program that runs the tests.
let workerProgram = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
  .deletingLastPathComponent().appendingPathComponent(
    "stem-worker")

/// The built `confinement-probe`, beside it.
let probeProgram = workerProgram.deletingLastPathComponent().appendingPathComponent(
  "confinement-probe")

let videoProcess = VideoProcess(program: workerProgram)

extension TemporaryFolder {
  /// A program that does whatever a shell script says.
  func program(_ script: String) throws -> URL {
    let path = try write("#!/bin/sh\n\(script)\n".utf8, to: "program-\(UUID().uuidString)")
    chmod(path, 0o755)
    // A child that another test is just starting may hold a copy of the descriptor that wrote this
    // file, and then it cannot be run: a read lease is given only once nobody has it open for
    // writing.
    let (setLease, readLease) = (Int32(1024), Int32(F_RDLCK))
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    defer { close(descriptor) }
    while fcntl(descriptor, setLease, readLease) != 0, errno == EAGAIN { usleep(1000) }
    return URL(fileURLWithPath: path)
  }
}

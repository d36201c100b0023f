import Foundation

@testable import VideoFile

/// What the ffmpeg program said.
struct FFmpegFailure: Error { var words: String }

extension TemporaryFolder {
  /// Makes a video as others do, with the ffmpeg program.
  /// - Parameter arguments: its own, but for the file at the end.
  func ffmpeg(_ arguments: String..., to name: String) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments =
      ["ffmpeg", "-nostdin", "-loglevel", "error", "-y"]
      + arguments.flatMap { $0.split(separator: " ").map(String.init) } + [file(name)]
    let errors = Pipe()
    process.standardError = errors
    try process.run()
    let said = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw FFmpegFailure(words: String(decoding: said, as: UTF8.self))
    }
    return file(name)
  }
}

extension VideoClip {
  /// When its pictures turn bright, in seconds.
  var onset: Double? {
    (0..<frameCount).first { pixel(frame: $0, x: width / 2, y: height / 2)[1] > 128 }.map {
      Double(timing.pts[$0]) * timing.timeBase.value
    }
  }
}

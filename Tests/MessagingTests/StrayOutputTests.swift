import Foundation
import Testing

@testable import Journal

@Suite struct StrayOutputTests {
  @Test("what is said past the log becomes lines of the log, a crash's last words, too")
  func lastWords() throws {
    let process = Process()
    process.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
      .deletingLastPathComponent().appending(path: "last-words")
    // The runtime's backtraces, where they are asked for, go before.
    process.environment = ProcessInfo.processInfo.environment.filter {
      $0.key != "SWIFT_BACKTRACE"
    }
    let (output, errors) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    let lines = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      .split(separator: "\n")
    process.waitUntilExit()
    #expect(
      process.terminationReason == .uncaughtSignal, "status \(process.terminationStatus)")
    #expect(output.fileHandleForReading.readDataToEndOfFile().isEmpty)
    #expect(
      lines.first?.hasSuffix("notice last-words: a library's chatter [job j1]") == true, "\(lines)")
    #expect(
      lines.contains {
        $0.contains("notice last-words: ") && $0.contains("and its end")
          && $0.hasSuffix(" [job j1]")
      }, "\(lines)")
  }

  @Test("bytes become lines however they come; empty ones are left out, endless ones cut")
  func lines() {
    var lines = LineSplitter()
    #expect(lines.take(Array("on".utf8)) == [])
    #expect(lines.take(Array("e\n\ntwo\nthr".utf8)) == ["one", "two"])
    #expect(lines.take([0xFF, 0x0A]) == ["thr\u{FFFD}"])
    let endless = [UInt8](repeating: UInt8(ascii: "x"), count: LineSplitter.longest * 2)
    #expect(lines.take(endless).map(\.utf8.count) == [LineSplitter.longest, LineSplitter.longest])
    #expect(lines.take([0x0A]) == [])
  }
}

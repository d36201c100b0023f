import Foundation
import Logging
import Testing

@testable import Journal

@Suite struct JournalTests {
  func event(_ level: Logger.Level, _ message: String, _ metadata: Logger.Metadata? = nil)
    -> LogEvent
  {
    LogEvent(
      level: level, message: "\(message)", metadata: metadata, source: "test", file: "File.swift",
      function: "f()", line: 7)
  }

  @Test("metadata become fields of the journal, with the priority of syslog")
  func fields() {
    var handler = JournalLogHandler(program: "stemd")
    handler[metadataKey: "worker"] = "worker-1"
    let fields = handler.fields(
      of: event(.warning, "it stopped", ["job": "j1", "clip": "a b.mp4", "worker": "worker-2"]))
    let byName = Dictionary(uniqueKeysWithValues: fields.map { ($0.name, $0.value) })
    #expect(
      byName == [
        "MESSAGE": "it stopped", "PRIORITY": "4", "SYSLOG_IDENTIFIER": "stemd",
        "CODE_FILE": "File.swift", "CODE_FUNC": "f()",
        "CODE_LINE": "7", "JOB": "j1", "CLIP": "a b.mp4", "WORKER": "worker-2",
      ])
  }

  @Test("every level has its priority")
  func priorities() {
    #expect(Logger.Level.allCases.map(\.journalPriority) == [7, 7, 6, 5, 4, 3, 2])
  }

  @Test("a metadata key that is no field's name becomes one, and none overwrites the message")
  func fieldNames() {
    #expect(JournalLogHandler.fieldName("job") == "JOB")
    #expect(JournalLogHandler.fieldName("time-left") == "TIME_LEFT")
    #expect(JournalLogHandler.fieldName("_TRUSTED") == "TRUSTED")
    #expect(JournalLogHandler.fieldName("0a") == "A")
    #expect(JournalLogHandler.fieldName("é=\n") == nil)
    #expect(JournalLogHandler.fieldName(String(repeating: "x", count: 100))?.count == 64)
    let fields = JournalLogHandler(program: "stemd").fields(
      of: event(.info, "mine", ["message": "another's", "priority": "0"]))
    #expect(fields.filter { $0.name == "MESSAGE" }.map(\.value) == ["mine"])
    #expect(fields.filter { $0.name == "PRIORITY" }.map(\.value) == ["6"])
  }

  @Test("a line for a person has time, level, program, message and, briefly, what it is about")
  func line() {
    let handler = TerminalLogHandler(program: "stemd", metadata: ["job": "j1"])
    var time = time_t(1_738_326_896)
    var local = tm()
    localtime_r(&time, &local)
    let line = handler.line(
      for: event(.notice, "it began", ["clip": "a b.mp4"]), time: time, coloured: true)
    let clock = String(format: "%02d:%02d:56", local.tm_hour, local.tm_min)
    #expect(line == "\(clock) notice stemd: it began [job j1 · a b.mp4]")
  }

  @Test("a line for a person does not say twice what its message says, nor what programs ask for")
  func brevity() {
    let handler = TerminalLogHandler(program: "stemd", metadata: ["worker": "worker-1"])
    func ending(_ message: String, _ metadata: Logger.Metadata) -> String {
      let line = handler.line(for: event(.info, message, metadata), time: 0, coloured: false)
      return String(line.drop { $0 != "i" })
    }
    #expect(
      ending("given to worker-1", ["job": "j1", "client": "user:ada", "stage": "edit"])
        == "info stemd: given to worker-1 [job j1]")
    #expect(
      ending("it ended", ["attempt": "2", "job": "j1", "clip": "c.mp4"])
        == "info stemd: it ended [job j1 · c.mp4 · worker-1 · attempt 2]")
    #expect(ending("worker-1 has ended", [:]) == "info stemd: worker-1 has ended")
  }

  @Test("warnings and errors are coloured on a terminal only")
  func colour() {
    let handler = TerminalLogHandler(program: "stemd")
    #expect(
      handler.line(for: event(.warning, "w"), time: 0, coloured: true).hasPrefix("\u{1B}[33m"))
    #expect(handler.line(for: event(.error, "e"), time: 0, coloured: true).hasSuffix("\u{1B}[0m"))
    #expect(!handler.line(for: event(.error, "e"), time: 0, coloured: false).contains("\u{1B}"))
    #expect(!handler.line(for: event(.info, "i"), time: 0, coloured: true).contains("\u{1B}"))
  }

  @Test("a name cannot break the line or control the terminal")
  func escaping() {
    let handler = TerminalLogHandler(program: "stemd")
    let hostile = event(
      .info, "saw \u{1B}[2J\n12:00:00 error stemd: fake", ["clip": "a\r\u{202E}b\u{9B}"])
    let line = handler.line(for: hostile, time: 0, coloured: false)
    #expect(
      line.hasSuffix(
        #"info stemd: saw \u{1B}[2J\n12:00:00 error stemd: fake [a\r\u{202E}b\u{9B}]"#))
    #expect("ein Fuchs 🦊 é 👩‍👩‍👧".escapingControlCharacters() == "ein Fuchs 🦊 é 👩‍👩‍👧")
    #expect("a\nb\t".escapingControlCharacters(keepingNewlines: true) == "a\nb\\t")
  }

  @Test("the journal is used only if the variable names the very stream")
  func stream() throws {
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    defer { for end in ends { close(end) } }
    var information = stat()
    #expect(fstat(ends[1], &information) == 0)
    let right = "\(information.st_dev):\(information.st_ino)"
    #expect(JournalStream.matches(right, descriptor: ends[1]))
    #expect(
      !JournalStream.matches("\(information.st_dev):\(information.st_ino + 1)", descriptor: ends[1])
    )
    for wrong in [nil, "", ":", "1", "a:b", right + ":1"] {
      #expect(!JournalStream.matches(wrong, descriptor: ends[1]))
    }
  }
}

import Foundation
import Logging
import Testing

@testable import Journal

@Suite struct JournalCatalogTests {
  struct Entry {
    var id = ""
    var headers: [String: String] = [:]
    var text = ""
  }

  private static func file(_ path: String) -> URL {
    URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../" + path)
  }

  /// The catalog that is installed for journalctl, by the format's own rules.
  let entries: [Entry]

  init() throws {
    var entries: [Entry] = []
    var isInHeaders = false
    let text = try String(contentsOf: Self.file("systemd/stemd.catalog"), encoding: .utf8)
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("#") { continue }
      if line.hasPrefix("-- ") {
        entries.append(Entry(id: String(line.dropFirst(3))))
        isInHeaders = true
      } else if entries.isEmpty {
        #expect(line.isEmpty)
      } else if isInHeaders, let colon = line.firstIndex(of: ":") {
        entries[entries.count - 1].headers[String(line[..<colon])] =
          line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
      } else {
        isInHeaders = false
        entries[entries.count - 1].text += line + "\n"
      }
    }
    self.entries = entries
  }

  @Test("every event has one entry in the catalog, and every entry an event")
  func complete() {
    #expect(entries.map(\.id).sorted() == JournalEvent.allCases.map(\.rawValue).sorted())
    for id in entries.map(\.id) {
      #expect(id.count == 32 && id.allSatisfy { $0.isHexDigit && !$0.isUppercase })
    }
  }

  @Test("an entry says what happened and what to do, and names only fields that lines have")
  func content() throws {
    let fields: Set = ["JOB", "CLIP", "CLIENT", "WORKER", "STAGE"]
    for entry in entries {
      #expect(entry.headers["Subject"]?.isEmpty == false)
      #expect(entry.headers["Defined-By"] == "stemd")
      #expect(entry.headers["Documentation"]?.hasPrefix("man:") == true)
      #expect(entry.text.trimmingCharacters(in: .whitespacesAndNewlines).count > 40)
      for match in ((entry.headers["Subject"] ?? "") + entry.text).matches(of: /@([A-Z_]+)@/) {
        #expect(fields.contains(String(match.1)), "\(match.0) in \(entry.id)")
      }
    }
  }

  static let journalctl = "/usr/bin/journalctl"

  @Test(
    "journalctl takes the catalog", .enabled(if: access(journalctl, X_OK) == 0, "needs journalctl"))
  func compiles() throws {
    let root = try TemporaryFolder()
    for folder in ["usr/lib/systemd/catalog", "var/lib/systemd/catalog"] {
      try FileManager.default.createDirectory(
        atPath: root.path(folder), withIntermediateDirectories: true)
    }
    try FileManager.default.copyItem(
      atPath: Self.file("systemd/stemd.catalog").path(percentEncoded: false),
      toPath: root.path("usr/lib/systemd/catalog/stemd.catalog"))
    func run(_ option: String) throws -> String {
      let process = Process()
      process.executableURL = URL(filePath: Self.journalctl)
      process.arguments = ["--root=" + root.path(""), option]
      let output = Pipe()
      process.standardOutput = output
      process.standardError = output
      try process.run()
      let text = String(
        decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      process.waitUntilExit()
      #expect(process.terminationStatus == 0, "\(text)")
      return text
    }
    #expect(try run("--update-catalog") == "")
    let listed = try run("--list-catalog").split(separator: "\n").map { $0.prefix(32) }
    #expect(listed.sorted() == JournalEvent.allCases.map { $0.rawValue[...] }.sorted())
    let dumped = try run("--dump-catalog")
    for entry in entries {
      #expect(dumped.contains(entry.text.trimmingCharacters(in: .newlines)))
    }
  }

  @Test("the documentation lists every event with its id and priority")
  func documented() throws {
    let page = try String(contentsOf: Self.file("Docs/journal.md"), encoding: .utf8)
    let rows = page.matches(of: /\| `([a-z0-9]{32})` \| ([a-z]+) \|/).map {
      [String($0.1), String($0.2)]
    }
    let events = JournalEvent.allCases.map { [$0.rawValue, "\($0.level)"] }
    #expect(rows.sorted { $0[0] < $1[0] } == events.sorted { $0[0] < $1[0] })
  }

  @Test("an event's line has its id in the journal, and not on a terminal")
  func line() {
    let event = LogEvent(
      level: JournalEvent.workerDied.level, message: "it died",
      metadata: JournalEvent.workerDied.metadata.merging(["worker": "worker-1"]) { $1 },
      source: "test", file: "File.swift", function: "f()", line: 7)
    let fields = JournalLogHandler(program: "stemd").fields(of: event)
    #expect(
      fields.first { $0.name == "MESSAGE_ID" }?.value == "6aead7ba7271408f899d74ca4377104a")
    #expect(fields.first { $0.name == "PRIORITY" }?.value == "4")
    let text = TerminalLogHandler(program: "stemd").line(for: event, time: 0, coloured: false)
    #expect(text.hasSuffix("warning stemd: it died [worker-1]"))
  }
}

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

  /// The catalog that is installed for journalctl, by the format's own rules.
  let entries: [Entry]

  init() throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(
      path: "../../systemd/stemd.catalog")
    var entries: [Entry] = []
    var isInHeaders = false
    for line in try String(contentsOf: file, encoding: .utf8).split(
      separator: "\n", omittingEmptySubsequences: false)
    {
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

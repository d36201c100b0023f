import Foundation
import Testing

@testable import JobQueue

@Suite("Names") struct NameTests {
  @Test("a name has a stem, an extension, and perhaps the number of an edit")
  func parts() {
    func parts(_ name: String) -> [String] {
      let dropped = DroppedName(name)
      return [
        dropped.stem, dropped.fileExtension, dropped.furtherEditOf ?? "-", "\(dropped.editNumber)",
        dropped.isSidecar ? "sidecar" : "clip",
      ]
    }
    #expect(parts("clip.mp4") == ["clip", "mp4", "-", "1", "clip"])
    #expect(parts("clip") == ["clip", "", "-", "1", "clip"])
    #expect(parts("clip.YAML") == ["clip", "YAML", "-", "1", "sidecar"])
    #expect(parts("a.b.txt") == ["a.b", "txt", "-", "1", "sidecar"])
    #expect(parts("clip.2.yml") == ["clip.2", "yml", "clip", "2", "sidecar"])
    #expect(parts("clip.12.json") == ["clip.12", "json", "clip", "12", "sidecar"])
    for name in [
      "clip.1.txt", "clip.0.txt", "clip.02.txt", "clip.2x.txt", "clip..txt",
      "clip.99999999999999999999.txt",
    ] {
      #expect(DroppedName(name).furtherEditOf == nil, "\(name)")
    }
    #expect(parts("e.\u{301}x") == ["e", "\u{301}x", "-", "1", "clip"])
  }

  @Test(
    "temporary names are known",
    arguments: [
      ".clip.mp4", "clip.mp4.part", "clip.tmp", "clip.crdownload", "clip.mp4~", "clip.filepart",
      "clip.swp", "CLIP.PART",
    ])
  func temporary(name: String) { #expect(DroppedName.isTemporary(name)) }

  @Test("no name can forge a line of the log")
  func display() {
    #expect(
      displayName("a\nb\r\tc\\d\u{1b}[31m\u{202e}é 日本")
        == "a\\nb\\r\\tc\\\\d\\u{1b}[31m\\u{202e}é 日本")
    #expect(displayName(bytes: [0x61, 0xff, 0x0a, 0x5c]) == "a\\xff\\x0a\\x5c")
    #expect(displayName(bytes: Array("ä\n".utf8)) == "ä\\n")
  }

  @Test(
    "job ids rise, also within a millisecond and when the clock is set back, and after a restart")
  func jobIDs() {
    var generator = JobIDGenerator(after: nil)
    let now = Date()
    var ids: [JobID] = []
    for i in 0..<5000 {
      ids.append(generator.next(now: now.addingTimeInterval(i > 2500 ? -3600 : 0)))
    }
    var restarted = JobIDGenerator(after: ids.last)
    ids.append(restarted.next(now: now.addingTimeInterval(-7200)))
    #expect(zip(ids, ids.dropFirst()).allSatisfy { $0.rawValue < $1.rawValue })
    #expect(ids.allSatisfy { $0.rawValue.count == 13 })
    #expect(
      JobIDGenerator(after: nil).with(now).rawValue
        < JobIDGenerator(after: nil).with(now.addingTimeInterval(1)).rawValue)
  }
}

extension JobIDGenerator {
  fileprivate func with(_ now: Date) -> JobID {
    var generator = self
    return generator.next(now: now)
  }
}

import Foundation
import Glibc
import Testing

@testable import JobQueue

@Suite("Inbox flood") struct InboxFloodTests {
  let folder = TemporaryFolder()
  let start = ContinuousClock.now

  func makeFolders(_ numbers: Range<Int>) {
    for number in numbers { mkdir(folder.path("\(number)"), 0o770) }
  }

  @Test("of a flood of notices a hundred a minute are written, and the number of the others")
  func flood() throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    makeFolders(0..<250)
    let notices = try inbox.refresh(now: start).notices
    #expect(notices.dropLast().map(\.kind) == Array(repeating: .notAFile, count: 100))
    #expect(notices.last?.kind == .leftOut)
    #expect(notices.last?.message.contains("about 150 more files") == true)
    #expect(inbox.nextDeadline == nil)

    makeFolders(250..<253)
    #expect(try inbox.refresh(now: start + .seconds(10)) == InboxFindings())
    #expect(inbox.nextDeadline == start + .seconds(60))
    let late = try inbox.refresh(now: start + .seconds(60)).notices
    #expect(late.map(\.kind) == [.leftOut])
    #expect(late[0].message.contains("about 3 more files"))
    #expect(inbox.nextDeadline == nil)

    makeFolders(253..<254)
    #expect(try inbox.refresh(now: start + .seconds(70)).notices.map(\.kind) == [.notAFile])
  }

  @Test("a flood of notices holds up no clip")
  func clips() throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    makeFolders(0..<250)
    for name in ["z.mp4", "z.txt"] { folder.drop(name) }
    let findings = try inbox.refresh(now: start)
    #expect(findings.ready == [ReadyClip(clip: "z.mp4", sidecars: ["z.txt"])])
    #expect(findings.notices.count == 101)
  }
}

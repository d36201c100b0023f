import CLinux
import Foundation
import Glibc
import Testing

@testable import JobQueue

@Suite("Inbox") struct InboxTests {
  let folder = TemporaryFolder()
  let start = ContinuousClock.now

  func ready(_ clip: String, _ sidecars: String...) -> [ReadyClip] {
    [ReadyClip(clip: clip, sidecars: sidecars)]
  }

  @Test(
    "a pair is ready in the moment its second file is closed, whichever comes first",
    arguments: [["c.mp4", "c.yaml"], ["c.txt", "c.mkv"], ["c", "c.JSON"]])
  func pair(names: [String]) throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    folder.drop(names[0])
    #expect(try inbox.refresh(now: start).ready.isEmpty)
    folder.drop(names[1])
    let clip = names.first { !DroppedName($0).isSidecar }!
    let sidecar = names.first { DroppedName($0).isSidecar }!
    #expect(try inbox.refresh(now: start).ready == ready(clip, sidecar))
    #expect(try inbox.refresh(now: start + .seconds(100)).ready.isEmpty)
  }

  @Test("the descriptor is readable when something happened, and not afterwards")
  func descriptor() throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    _ = try inbox.refresh()
    func isReadable() -> Bool {
      var request = pollfd(fd: inbox.descriptor ?? -1, events: Int16(POLLIN), revents: 0)
      return poll(&request, 1, 0) == 1
    }
    #expect(!isReadable())
    folder.drop("c.mp4")
    #expect(isReadable())
    _ = try inbox.refresh()
    #expect(!isReadable())
  }

  @Test("a file that is still being written is waited for", arguments: ["c.mp4", "c.yaml"])
  func stillWriting(slow: String) throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    let file = folder.startWriting(slow)
    folder.drop(slow == "c.mp4" ? "c.yaml" : "c.mp4")
    #expect(try inbox.refresh(now: start).ready.isEmpty)
    #expect(try inbox.refresh(now: start + .seconds(30)).ready.isEmpty)
    #expect(inbox.nextDeadline != nil)
    fclose(file)
    #expect(try inbox.refresh(now: start + .seconds(31)).ready == ready("c.mp4", "c.yaml"))
  }

  @Test("a file closed by one writer while another has it open is waited for")
  func twoWriters() throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    let file = folder.startWriting("c.mp4")
    close(open(folder.path("c.mp4"), O_WRONLY))
    folder.drop("c.txt")
    #expect(try inbox.refresh(now: start).ready.isEmpty)
    fclose(file)
    #expect(try inbox.refresh(now: start).ready == ready("c.mp4", "c.txt"))
  }

  @Test("a file opened again while it waits for its partner is waited for")
  func reopened() throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    folder.drop("c.mp4")
    #expect(try inbox.refresh(now: start).ready.isEmpty)
    let file = folder.startWriting("c.mp4", "more")
    folder.drop("c.txt")
    #expect(try inbox.refresh(now: start + .seconds(5)).ready.isEmpty)
    fclose(file)
    #expect(try inbox.refresh(now: start + .seconds(6)).ready == ready("c.mp4", "c.txt"))
  }

  @Test("every open descriptor for writing is found without a lease, too")
  func writersAccordingToProc() throws {
    let file = folder.startWriting("c.mp4")
    let status = try #require(try FileSystem.status(folder.path("c.mp4")))
    #expect(FilesBeingWritten.now().contains(status))
    fclose(file)
    let reader = open(folder.path("c.mp4"), O_RDONLY)
    #expect(!FilesBeingWritten.now().contains(status))
    close(reader)
  }

  /// What is ready to a daemon that sees nothing of other users' processes, seconds after `start`.
  func readyToNobody(_ inbox: Inbox, _ seconds: Int) throws -> [ReadyClip] {
    chmod(folder.path, 0o755)
    #expect(stem_set_thread_user(65534) == 0)
    defer { stem_set_thread_user(0) }
    return try inbox.refresh(now: start + .seconds(seconds)).ready
  }

  @Test(
    "an upload by a user whose processes cannot be seen is waited for, however long it stalls",
    .enabled(if: getuid() == 0, "needs root to become somebody else"))
  func unseenWriter() throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    folder.drop("c.txt")
    let writer = Process()
    writer.executableURL = URL(filePath: "/bin/sh")
    writer.arguments = ["-c", "printf half; exec sleep 600 2>&-"]
    let descriptor = open(folder.path("c.mp4"), O_WRONLY | O_CREAT | O_CLOEXEC, 0o664)
    writer.standardOutput = FileHandle(fileDescriptor: descriptor)
    try writer.run()
    defer { kill(writer.processIdentifier, SIGKILL) }
    close(descriptor)
    for seconds in [0, 3, 70, 1000] {
      #expect(try readyToNobody(inbox, seconds).isEmpty)
    }
    kill(writer.processIdentifier, SIGKILL)
    // What the other tests start may hold a copy of the descriptor for a moment.
    var found: [ReadyClip] = []
    for attempt in 0..<1000 where found.isEmpty {
      usleep(10_000)
      found = try readyToNobody(inbox, 1001 + attempt)
    }
    #expect(found == ready("c.mp4", "c.txt"))
  }

  @Test("where the first process does not show, others are taken to be hidden, too")
  func hiddenProcesses() {
    // As /proc is with hidepid=: nothing but what may be looked at.
    let own = TemporaryFolder()
    mkdir(own.path("4711"), 0o700)
    mkdir(own.path("4711/fd"), 0o700)
    #expect(!FilesBeingWritten.now(in: own.path).areAllKnown)
    mkdir(own.path("1"), 0o700)
    mkdir(own.path("1/fd"), 0o700)
    #expect(FilesBeingWritten.now(in: own.path).areAllKnown)
  }

  @Test(
    "a file found at start-up, or a hard link, whose writers cannot be seen must rest a minute",
    .enabled(if: getuid() == 0, "needs root to become somebody else"),
    arguments: [false, true])
  func unseenWithoutEvents(linked: Bool) throws {
    let other = TemporaryFolder()
    folder.drop("c.txt")
    if !linked { folder.drop("c.mp4") }
    let inbox = try Inbox(folder: folder.url, polling: .never)
    other.drop("c.mp4")
    if linked { link(other.path("c.mp4"), folder.path("c.mp4")) }
    for seconds in [0, 2, 59] { #expect(try readyToNobody(inbox, seconds).isEmpty) }
    #expect(inbox.nextDeadline == start + .seconds(60))
    #expect(try readyToNobody(inbox, 60) == ready("c.mp4", "c.txt"))
  }

  @Test("files found at start-up are ready once they rested")
  func startUp() throws {
    folder.drop("c.mp4")
    folder.drop("c.yaml")
    let inbox = try Inbox(folder: folder.url, polling: .never)
    #expect(try inbox.refresh(now: start).ready.isEmpty)
    #expect(inbox.nextDeadline == start + .seconds(2))
    #expect(try inbox.refresh(now: start + .seconds(1)).ready.isEmpty)
    #expect(try inbox.refresh(now: start + .seconds(2)).ready == ready("c.mp4", "c.yaml"))
  }

  @Test("a file found at start-up that still grows, or is held open for writing, is waited for")
  func startUpUnfinished() throws {
    let file = folder.startWriting("c.mp4")
    folder.drop("c.yaml")
    let inbox = try Inbox(folder: folder.url, polling: .never)
    #expect(try inbox.refresh(now: start).ready.isEmpty)
    #expect(try inbox.refresh(now: start + .seconds(3)).ready.isEmpty)
    fclose(file)
    #expect(try inbox.refresh(now: start + .seconds(4)).ready == ready("c.mp4", "c.yaml"))
  }

  @Test("a hard link, which no close announces, is ready once it rested")
  func hardLink() throws {
    let other = TemporaryFolder()
    other.drop("c.mp4")
    let inbox = try Inbox(folder: folder.url, polling: .never)
    folder.drop("c.txt")
    link(other.path("c.mp4"), folder.path("c.mp4"))
    #expect(try inbox.refresh(now: start).ready.isEmpty)
    #expect(try inbox.refresh(now: start + .seconds(2)).ready == ready("c.mp4", "c.txt"))
  }

  @Test("an empty file may be a placeholder, and rests first")
  func placeholder() throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    folder.drop("c.mp4", "")
    folder.drop("c.txt")
    #expect(try inbox.refresh(now: start).ready.isEmpty)
    folder.drop("c.mp4", "now with content")
    #expect(try inbox.refresh(now: start).ready == ready("c.mp4", "c.txt"))
    folder.drop("d.mp4", "")
    folder.drop("d.txt")
    #expect(try inbox.refresh(now: start).ready.isEmpty)
    #expect(try inbox.refresh(now: start + .seconds(2)).ready == ready("d.mp4", "d.txt"))
  }

  @Test("files moved in are ready at once")
  func movedIn() throws {
    let other = TemporaryFolder()
    let inbox = try Inbox(folder: folder.url, polling: .never)
    for name in ["c.mp4", "c.json"] {
      other.drop(name)
      rename(other.path(name), folder.path(name))
    }
    #expect(try inbox.refresh(now: start).ready == ready("c.mp4", "c.json"))
  }

  @Test(
    "a temporary name is ignored until it is renamed",
    arguments: [
      ".c.mp4", "c.mp4.part", "c.mp4.tmp", "c.mp4.crdownload", "c.mp4~", "c.mp4.filepart",
      "c.mp4.swp",
    ])
  func temporary(name: String) throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    folder.drop(name)
    folder.drop("c.txt")
    #expect(try inbox.refresh(now: start).ready.isEmpty)
    #expect(try inbox.refresh(now: start + .seconds(10)).ready.isEmpty)
    folder.rename(name, to: "c.mp4")
    #expect(try inbox.refresh(now: start + .seconds(10)).ready == ready("c.mp4", "c.txt"))
  }

  @Test("two videos and one sidecar are ambiguous: said once, left until one is removed")
  func twoVideos() throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    for name in ["c.mp4", "c.mov", "c.yaml"] { folder.drop(name) }
    let findings = try inbox.refresh(now: start)
    #expect(findings.ready.isEmpty)
    #expect(findings.notices.map(\.kind) == [.ambiguous])
    #expect(findings.notices[0].message.contains("c.mov, c.mp4, c.yaml"))
    chmod(folder.path("c.mp4"), 0o640)
    #expect(try inbox.refresh(now: start + .seconds(100)) == InboxFindings())
    folder.remove("c.mov")
    #expect(try inbox.refresh(now: start + .seconds(101)).ready == ready("c.mp4", "c.yaml"))
  }

  @Test(
    "two sidecars of one name are ambiguous: said once, left until one is removed",
    arguments: [("c.yaml", "c.txt"), ("c.2.yaml", "c.2.json")])
  func twoSidecars(first: String, second: String) throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    for name in [first, second, "c.mp4"] { folder.drop(name) }
    let findings = try inbox.refresh(now: start)
    #expect(findings.ready.isEmpty)
    #expect(findings.notices.map(\.kind) == [.ambiguous])
    #expect(try inbox.refresh(now: start + .seconds(100)) == InboxFindings())
    folder.remove(second)
    #expect(try inbox.refresh(now: start + .seconds(101)).ready == ready("c.mp4", first))
  }

  @Test("numbered sidecars are further edits of the same clip, all taken together")
  func furtherEdits() throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    for name in ["c.10.txt", "c.2.yaml", "c.yaml", "c.1.yaml", "c.mp4"] { folder.drop(name) }
    #expect(try inbox.refresh(now: start).ready == ready("c.mp4", "c.yaml", "c.2.yaml", "c.10.txt"))
  }

  @Test("a numbered sidecar alone makes a clip ready")
  func furtherEditAlone() throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    for name in ["c.3.txt", "c.mp4"] { folder.drop(name) }
    #expect(try inbox.refresh(now: start).ready == ready("c.mp4", "c.3.txt"))
  }

  @Test("a video named like a further edit takes that sidecar")
  func precedence() throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    for name in ["c.2.yaml", "c.2.mp4", "c.mp4"] { folder.drop(name) }
    #expect(try inbox.refresh(now: start).ready == ready("c.2.mp4", "c.2.yaml"))
    folder.drop("c.yaml")
    #expect(try inbox.refresh(now: start).ready == ready("c.mp4", "c.yaml"))
  }

  @Test("a sidecar that is not complete is left behind, and is late then")
  func lateSidecar() throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    let file = folder.startWriting("c.2.yaml")
    for name in ["c.yaml", "c.mp4"] { folder.drop(name) }
    #expect(try inbox.refresh(now: start).ready == ready("c.mp4", "c.yaml"))
    folder.remove("c.mp4")
    folder.remove("c.yaml")
    #expect(try inbox.refresh(now: start).lateSidecars.isEmpty)
    fclose(file)
    #expect(try inbox.refresh(now: start).lateSidecars == ["c.2.yaml"])
    #expect(try inbox.refresh(now: start + .seconds(10)).lateSidecars.isEmpty)
    folder.drop("c.mp4")
    #expect(try inbox.refresh(now: start + .seconds(10)).ready == ready("c.mp4", "c.2.yaml"))
  }

  @Test(
    "a lone file is reported after a minute, once, and again only after it changed",
    arguments: ["c.mp4", "c.yaml", "c.2.yaml"])
  func lone(name: String) throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    folder.drop(name)
    #expect(try inbox.refresh(now: start).notices.isEmpty)
    #expect(inbox.nextDeadline == start + .seconds(60))
    #expect(try inbox.refresh(now: start + .seconds(59)).notices.isEmpty)
    #expect(try inbox.refresh(now: start + .seconds(60)).notices.map(\.kind) == [.lone])
    #expect(inbox.nextDeadline == nil)
    #expect(try inbox.refresh(now: start + .seconds(600)).notices.isEmpty)
    folder.drop(name, "changed")
    #expect(try inbox.refresh(now: start + .seconds(600)).notices.isEmpty)
    #expect(try inbox.refresh(now: start + .seconds(660)).notices.map(\.kind) == [.lone])
    folder.drop(name == "c.mp4" ? "c.txt" : "c.mov")
    #expect(try inbox.refresh(now: start + .seconds(661)).ready.count == 1)
  }

  @Test("what is no file is reported once and left where it is")
  func noFiles() throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    mkdir(folder.path("folder.mp4"), 0o770)
    mkfifo(folder.path("fifo.mp4"), 0o660)
    symlink("/etc/passwd", folder.path("link.mp4"))
    symlink("/nowhere", folder.path("link.txt"))
    let socket = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) {
      $0.copyBytes(from: Array(folder.path("socket.mp4").utf8).prefix(107))
    }
    _ = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    for name in ["folder.txt", "fifo.txt", "socket.txt"] { folder.drop(name) }
    let notices = try inbox.refresh(now: start).notices
    #expect(notices.map(\.kind) == Array(repeating: .notAFile, count: 5))
    for kind in ["a folder", "a FIFO", "a symbolic link", "a socket"] {
      #expect(notices.contains { $0.message.contains(kind) })
    }
    chmod(folder.path("folder.mp4"), 0o700)
    #expect(try inbox.refresh(now: start + .seconds(10)) == InboxFindings())
    #expect(folder.names().count == 8)
  }

  @Test(
    "a file that the daemon may not read is reported, left, and tried again when its attributes change",
    .enabled(if: getuid() == 0, "needs root to become somebody else")
  )
  func unreadable() throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    chmod(folder.path, 0o755)
    for name in ["c.mp4", "c.txt"] { folder.drop(name) }
    chmod(folder.path("c.mp4"), 0o600)
    // This thread alone becomes nobody, until the end of this test.
    setfsuid(65534)
    defer { setfsuid(0) }
    let findings = try inbox.refresh(now: start)
    #expect(findings.ready.isEmpty)
    #expect(findings.notices.map(\.kind) == [.unreadable])
    #expect(try inbox.refresh(now: start + .seconds(100)) == InboxFindings())
    setfsuid(0)
    chmod(folder.path("c.mp4"), 0o644)
    setfsuid(65534)
    _ = try inbox.refresh(now: start + .seconds(200))
    #expect(try inbox.refresh(now: start + .seconds(202)).ready == ready("c.mp4", "c.txt"))
  }

  @Test("a file that the system cannot look at is reported once, and does not stop the others")
  func unknownStatus() throws {
    // So deep that the path of a long name is longer than the system takes.
    var path = folder.path + "/deep"
    let part = "/" + String(repeating: "d", count: 200)
    mkdir(path, 0o770)
    while path.utf8.count + part.utf8.count < 4000 {
      path += part
      mkdir(path, 0o770)
    }
    path += "/" + String(repeating: "d", count: 4050 - path.utf8.count)
    #expect(mkdir(path, 0o770) == 0)
    let inbox = try Inbox(folder: URL(filePath: path, directoryHint: .isDirectory))
    let descriptor = open(path, O_RDONLY | O_DIRECTORY)
    let long = String(repeating: "a", count: 240) + ".mp4"
    defer {
      for name in [long, "c.mp4", "c.yaml"] { unlinkat(descriptor, name, 0) }
      close(descriptor)
    }
    for name in [long, "c.mp4", "c.yaml"] {
      let file = openat(descriptor, name, O_WRONLY | O_CREAT, 0o660)
      #expect(write(file, "content", 7) == 7)
      close(file)
    }
    let findings = try inbox.refresh(now: start)
    #expect(findings.ready == ready("c.mp4", "c.yaml"))
    #expect(findings.notices.map(\.kind) == [.unreadable])
    #expect(findings.notices.first?.message.contains("too long") == true)
    #expect(inbox.nextDeadline == start + .seconds(10))
    #expect(try inbox.refresh(now: start + .seconds(10)) == InboxFindings())
    unlinkat(descriptor, long, 0)
    #expect(try inbox.refresh(now: start + .seconds(11)) == InboxFindings())
  }

  @Test("names that are not UTF-8 are reported once, escaped, and left")
  func notUTF8() throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    let path = Array(folder.path("").utf8) + [0xe4, 0x0a] + Array(".mp4".utf8)
    close(open(path.map { CChar(bitPattern: $0) } + [0], O_WRONLY | O_CREAT, 0o660))
    let notices = try inbox.refresh(now: start).notices
    #expect(notices.map(\.kind) == [.badName])
    #expect(notices.map(\.name) == ["\\xe4\\x0a.mp4"])
    #expect(try inbox.refresh(now: start + .seconds(100)) == InboxFindings())
  }

  @Test(
    "any name works",
    arguments: [
      "two words", "a:b", "100%25%s", "it's \"quoted\"", "line\nbreak", "日本語 ü e\u{301}", "-rf *",
      "#?&", "\u{1b}[31m",
    ])
  func anyName(name: String) throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    folder.drop(name + ".mp4")
    folder.drop(name + ".yaml")
    #expect(try inbox.refresh(now: start).ready == ready(name + ".mp4", name + ".yaml"))
  }

  @Test("letters composed and decomposed pair, as they look the same")
  func canonicalEquivalence() throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    folder.drop("e\u{301}.mp4")
    folder.drop("\u{e9}.txt")
    #expect(try inbox.refresh(now: start).ready.count == 1)
    folder.drop("\u{e9}.mp4")
    #expect(folder.names().count == 3)
    #expect(try inbox.refresh(now: start).notices.map(\.kind) == [.ambiguous])
  }

  @Test("what could not be claimed is found again after a pause")
  func offerAgain() throws {
    let inbox = try Inbox(folder: folder.url, polling: .never)
    for name in ["c.mp4", "c.yaml"] { folder.drop(name) }
    #expect(try inbox.refresh(now: start).ready.count == 1)
    inbox.offerAgain(["c.mp4", "c.yaml"], after: .seconds(5), now: start)
    #expect(inbox.nextDeadline == start + .seconds(5))
    #expect(try inbox.refresh(now: start + .seconds(4)).ready.isEmpty)
    #expect(try inbox.refresh(now: start + .seconds(5)).ready == ready("c.mp4", "c.yaml"))
  }

  @Test(
    "what went back into the inbox after a failed claim waits for its pause, but changed it does not",
    arguments: [false, true])
  func putBack(changed: Bool) throws {
    let other = TemporaryFolder()
    let inbox = try Inbox(folder: folder.url, polling: .never)
    for name in ["c.mp4", "c.yaml"] { folder.drop(name) }
    for round in 0..<3 {
      let begin = start + .seconds(10 * round)
      #expect(try inbox.refresh(now: begin).ready == ready("c.mp4", "c.yaml"))
      rename(folder.path("c.mp4"), other.path("c.mp4"))
      rename(other.path("c.mp4"), folder.path("c.mp4"))
      inbox.offerAgain(["c.mp4", "c.yaml"], after: .seconds(10), now: begin)
      #expect(try inbox.refresh(now: begin).ready.isEmpty)
      #expect(inbox.nextDeadline == begin + .seconds(10))
      #expect(try inbox.refresh(now: begin + .seconds(9)).ready.isEmpty)
    }
    guard changed else { return }
    for name in ["c.mp4", "c.yaml"] { folder.drop(name, "changed") }
    #expect(try inbox.refresh(now: start + .seconds(29)).ready == ready("c.mp4", "c.yaml"))
  }

  @Test("after more events than the kernel keeps, everything is found by looking")
  func overflow() throws {
    let limit =
      Int(
        String(
          decoding: try FileSystem.read("/proc/sys/fs/inotify/max_queued_events", limit: 32),
          as: UTF8.self
        ).filter(\.isNumber)
      ) ?? 16384
    try #require(limit < 200_000)
    let inbox = try Inbox(folder: folder.url, polling: .never)
    _ = try inbox.refresh(now: start)
    for _ in 0...(limit / 3) {
      folder.drop(".busy")
      folder.remove(".busy")
    }
    for name in ["c.mp4", "c.yaml"] { folder.drop(name) }
    _ = try inbox.refresh(now: start)
    #expect(try inbox.refresh(now: start + .seconds(2)).ready == ready("c.mp4", "c.yaml"))
  }

  @Test(
    "an inbox that is removed, moved away or missing is an error that says so",
    arguments: [true, false])
  func removed(byMoving: Bool) throws {
    mkdir(folder.path("inbox"), 0o770)
    let inbox = try Inbox(folder: folder.url.appending(path: "inbox", directoryHint: .isDirectory))
    if byMoving { folder.rename("inbox", to: "elsewhere") } else { rmdir(folder.path("inbox")) }
    let error = #expect(throws: InboxError.self) { try inbox.refresh() }
    #expect("\(error!)".contains("was removed or moved away"))
    #expect(throws: InboxError.self) {
      try Inbox(folder: folder.url.appending(path: "inbox", directoryHint: .isDirectory))
    }
  }
}

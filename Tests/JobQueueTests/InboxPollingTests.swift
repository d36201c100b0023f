import CLinux
import Foundation
import Glibc
import Testing

@testable import JobQueue

/// The inbox where the system has no inotify for it, or tells not everything.
@Suite("Inbox polling") struct InboxPollingTests {
  let folder = TemporaryFolder()
  let start = ContinuousClock.now
  let pair = [ReadyClip(clip: "c.mp4", sidecars: ["c.txt"])]

  /// An inbox that has no inotify.
  func unwatched(
    on fileSystem: FileSystemKind = .local, polling: Inbox.Polling = .automatic
  ) throws -> Inbox {
    try Inbox(
      folder: folder.url, polling: polling, on: fileSystem, clock: { start },
      openWatch: { _ in throw FolderWatch.Refused.instance(EMFILE) })
  }

  /// What becomes ready in looks at these seconds after `start`.
  func ready(_ inbox: Inbox, at seconds: Int...) throws -> [ReadyClip] {
    try seconds.flatMap { try inbox.refresh(now: start + .seconds($0)).ready }
  }

  func setModified(_ name: String, _ seconds: Int) {
    let time = timespec(tv_sec: seconds, tv_nsec: 0)
    #expect(utimensat(AT_FDCWD, folder.path(name), [time, time], 0) == 0)
  }

  @Test("without inotify the folder is looked through, and one notice says what to do")
  func refused() throws {
    let inbox = try unwatched()
    #expect(inbox.descriptor == nil)
    let notices = try inbox.refresh(now: start).notices
    #expect(notices.map(\.kind) == [.folder])
    #expect(notices[0].message.contains("Too many open files"))
    #expect(notices[0].message.contains("fs.inotify.max_user_instances"))
    #expect(inbox.nextDeadline == start + .seconds(2))
    for second in 1...50 {
      #expect(try inbox.refresh(now: start + .seconds(second)) == InboxFindings())
    }
  }

  @Test("without inotify and without looking there is no inbox")
  func refusedNever() {
    let error = #expect(throws: InboxError.self) { try unwatched(polling: .never) }
    #expect("\(error!)".contains("Too many open files"))
  }

  @Test("a missing folder is an error, whatever the polling")
  func missing() {
    #expect(throws: InboxError.self) {
      try Inbox(folder: folder.url.appending(path: "none"), polling: .every(.seconds(1)))
    }
  }

  @Test("inotify that could not be had is asked for again, and the looking ends")
  func watchedAgain() throws {
    var isRefused = true
    let inbox = try Inbox(
      folder: folder.url, polling: .automatic, on: .local, clock: { start },
      openWatch: { path in
        if isRefused { throw FolderWatch.Refused.instance(EMFILE) }
        return try FolderWatch(path: path)
      })
    _ = try inbox.refresh(now: start)
    isRefused = false
    _ = try inbox.refresh(now: start + .seconds(59))
    #expect(inbox.descriptor == nil)
    #expect(try inbox.refresh(now: start + .seconds(60)).notices.map(\.kind) == [.folder])
    #expect(inbox.descriptor != nil)
    #expect(inbox.nextDeadline == nil)
    for name in ["c.mp4", "c.txt"] { folder.drop(name) }
    #expect(try ready(inbox, at: 61) == pair)
  }

  @Test(
    "another pause counts at once, and automatic looking is none where inotify tells everything")
  func changedPolling() throws {
    let inbox = try Inbox(
      folder: folder.url, polling: .automatic, on: .local, clock: { start })
    _ = try inbox.refresh(now: start)
    #expect(inbox.nextDeadline == nil)
    inbox.set(.every(.seconds(30)), now: start)
    #expect(inbox.nextDeadline == start)
    _ = try inbox.refresh(now: start)
    #expect(inbox.nextDeadline == start + .seconds(30))
    inbox.set(.automatic, now: start + .seconds(1))
    _ = try inbox.refresh(now: start + .seconds(1))
    #expect(inbox.nextDeadline == nil)
  }

  @Test("a pair is found by looking, and ready once it rested")
  func found() throws {
    let inbox = try unwatched()
    #expect(try ready(inbox, at: 0).isEmpty)
    for name in ["c.mp4", "c.txt"] { folder.drop(name) }
    #expect(try ready(inbox, at: 1, 2, 3).isEmpty)
    #expect(inbox.nextDeadline == start + .seconds(4))
    #expect(try ready(inbox, at: 4) == pair)
    #expect(try ready(inbox, at: 5, 6, 7, 8, 100).isEmpty)
  }

  @Test("a file that somebody has open for writing is waited for, however long it stalls")
  func writer() throws {
    let inbox = try unwatched()
    folder.drop("c.txt")
    let file = folder.startWriting("c.mp4")
    #expect(try ready(inbox, at: 0, 2, 4, 100, 1000).isEmpty)
    fclose(file)
    #expect(try ready(inbox, at: 1001) == pair)
  }

  @Test(
    "what is removed is noticed: nobody is told that it is alone, and what was ambiguous is not")
  func removal() throws {
    let inbox = try unwatched()
    for name in ["lone.mp4", "c.mp4", "c.mov", "c.txt"] { folder.drop(name) }
    _ = try ready(inbox, at: 0)
    #expect(try ready(inbox, at: 2).isEmpty)
    folder.remove("lone.mp4")
    folder.remove("c.mov")
    #expect(try ready(inbox, at: 4) == pair)
    #expect(try inbox.refresh(now: start + .seconds(59)) == InboxFindings())
    folder.remove("c.mp4")
    folder.remove("c.txt")
    #expect(try inbox.refresh(now: start + .seconds(61)) == InboxFindings())
    #expect(try inbox.refresh(now: start + .seconds(100)) == InboxFindings())
  }

  @Test("what another machine writes is ready only when it rested a minute since it last changed")
  func slowWriterElsewhere() throws {
    let inbox = try unwatched(on: .shared)
    folder.drop("c.txt")
    for round in 0..<5 {
      let file = fopen(folder.path("c.mp4"), "a")
      fputs("some more", file)
      fclose(file)
      #expect(try ready(inbox, at: 58 * round, 58 * round + 2, 58 * round + 56).isEmpty)
    }
    #expect(try ready(inbox, at: 232 + 58, 232 + 59).isEmpty)
    #expect(try ready(inbox, at: 232 + 60) == pair)
  }

  @Test(
    "a time of change in the past or the future says nothing; that it became another one does",
    arguments: [0, 4_000_000_000])
  func otherClocks(time: Int) throws {
    let inbox = try unwatched(on: .shared)
    for name in ["c.mp4", "c.txt"] {
      folder.drop(name)
      setModified(name, time)
    }
    #expect(try ready(inbox, at: 0, 2, 40).isEmpty)
    // Of the same size, written by a machine whose clock was set back.
    setModified("c.mp4", time - 3600)
    #expect(try ready(inbox, at: 42, 44, 62, 101).isEmpty)
    #expect(try ready(inbox, at: 102) == pair)
  }

  @Test("a lease is not asked where it means nothing; a writer on this machine is seen")
  func writersOfSharedFiles() throws {
    folder.drop("c.mp4")
    let reader = open(folder.path("c.mp4"), O_RDONLY | O_CLOEXEC)
    defer { close(reader) }
    #expect(OpenForWriting.answer(for: reader, on: .shared) == .unknown)
    #expect(OpenForWriting.answer(for: reader, on: .local) == .no)
    let file = folder.startWriting("c.mp4")
    #expect(OpenForWriting.answer(for: reader, on: .shared) == .yes)
    fclose(file)
  }

  @Test("looking opens no file that did not change")
  func opensNothing() throws {
    for number in 0..<200 { folder.drop("\(number).mp4") }
    let inbox = try unwatched()
    _ = try ready(inbox, at: 0, 2)
    let opened = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
    defer { close(opened) }
    for number in 0..<200 {
      #expect(inotify_add_watch(opened, folder.path("\(number).mp4"), UInt32(IN_OPEN)) > 0)
    }
    var byte = [UInt8](repeating: 0, count: 4096)
    _ = try ready(inbox, at: 4, 6, 8, 70)
    #expect(read(opened, &byte, byte.count) == -1)
    folder.drop("7.mp4", "changed")
    #expect(read(opened, &byte, byte.count) > 0)
    _ = try ready(inbox, at: 72, 74)
    #expect(read(opened, &byte, byte.count) == MemoryLayout<inotify_event>.size)
  }

  @Test(
    "another folder in the inbox's place, or none, is an error that says so",
    arguments: [false, true])
  func replaced(isMadeAgain: Bool) throws {
    let inbox = try unwatched()
    _ = try ready(inbox, at: 0)
    let path = String(folder.path.reversed().drop { $0 == "/" }.reversed())
    rename(path, path + "-moved")
    defer { rmdir(path + "-moved") }
    if isMadeAgain { mkdir(path, 0o770) }
    let error = #expect(throws: InboxError.self) { try ready(inbox, at: 2) }
    #expect("\(error!)".contains("was removed or moved away"))
  }

  @Test(
    "a folder that cannot be listed is reported once, and listed when it can be",
    .enabled(if: getuid() == 0, "needs root to become somebody else"))
  func unlistable() throws {
    let inbox = try unwatched()
    for name in ["c.mp4", "c.txt"] { folder.drop(name) }
    _ = try inbox.refresh(now: start)
    chmod(folder.path, 0o700)
    setfsuid(65534)
    defer { setfsuid(0) }
    let notices = try inbox.refresh(now: start + .seconds(2)).notices
    #expect(notices.contains { $0.kind == .folder && $0.message.contains("Permission denied") })
    #expect(try inbox.refresh(now: start + .seconds(4)).notices.allSatisfy { $0.kind != .folder })
    setfsuid(0)
    _ = try ready(inbox, at: 12)
    #expect(try ready(inbox, at: 14, 16) == pair)
  }

  @Test(
    "a file that the daemon may not read is tried again, though no event tells that it may now",
    .enabled(if: getuid() == 0, "needs root to become somebody else"))
  func unreadable() throws {
    let inbox = try unwatched()
    chmod(folder.path, 0o755)
    for name in ["c.mp4", "c.txt"] { folder.drop(name) }
    chmod(folder.path("c.mp4"), 0o600)
    _ = try inbox.refresh(now: start)
    setfsuid(65534)
    defer { setfsuid(0) }
    #expect(try inbox.refresh(now: start + .seconds(2)).notices.map(\.kind) == [.unreadable])
    for second in 3...30 {
      #expect(try inbox.refresh(now: start + .seconds(second)) == InboxFindings())
    }
    setfsuid(0)
    chown(folder.path("c.mp4"), 65534, 65534)
    setfsuid(65534)
    #expect(try ready(inbox, at: 40, 42, 44) == pair)
  }

  @Test("where inotify works, looking in addition delays nothing and finds nothing twice")
  func both() throws {
    let inbox = try Inbox(
      folder: folder.url, polling: .every(.seconds(1)), on: .local, clock: { start })
    #expect(try ready(inbox, at: 0).isEmpty)
    #expect(inbox.descriptor != nil)
    #expect(inbox.nextDeadline == start + .seconds(1))
    for name in ["c.mp4", "c.txt"] { folder.drop(name) }
    #expect(try ready(inbox, at: 1) == pair)
    #expect(try ready(inbox, at: 2, 3, 4, 5, 6, 70).isEmpty)
  }

  @Test("the pause follows from what inotify tells, and from how long a look takes")
  func pauses() {
    let automatic = Inbox.Polling.automatic
    #expect(automatic.pause(isWatched: true, on: .local) == nil)
    #expect(automatic.pause(isWatched: false, on: .local) == .seconds(2))
    #expect(automatic.pause(isWatched: true, on: .layered) == .seconds(2))
    #expect(automatic.pause(isWatched: true, on: .shared) == .seconds(2))
    #expect(Inbox.Polling.never.pause(isWatched: true, on: .shared) == nil)
    #expect(Inbox.Polling.every(.seconds(5)).pause(isWatched: true, on: .local) == .seconds(5))
    #expect(Inbox.Polling.every(.zero).pause(isWatched: true, on: .local) == .milliseconds(100))
    #expect(Inbox.Polling.pause(.seconds(2), afterLookOf: .milliseconds(20)) == .seconds(2))
    #expect(Inbox.Polling.pause(.seconds(2), afterLookOf: .seconds(1)) == .seconds(10))
    #expect(Inbox.Polling.pause(.seconds(2), afterLookOf: .seconds(100)) == .seconds(60))
    #expect(Inbox.Polling.pause(.seconds(90), afterLookOf: .seconds(100)) == .seconds(90))
  }

  @Test("file systems of this machine alone are told from those that others change")
  func kinds() throws {
    #expect(FileSystemKind(magic: 0xef53) == .local)
    for magic: UInt32 in [0x6969, 0xff53_4d42, 0xfe53_4d42, 0x6573_5546, 0x0102_1997, 0x00c3_6400] {
      // NFS, CIFS, SMB 2, FUSE, 9P, Ceph
      #expect(FileSystemKind(magic: magic) == .shared)
    }
    let processes = open("/proc", O_RDONLY | O_CLOEXEC)
    defer { close(processes) }
    #expect(FileSystemKind(of: processes) == .shared)
    #expect(FileSystemKind(of: -1) == .shared)
  }
}

import Foundation
import Glibc

/// The folder into which people drop clips and sidecars: notices them with inotify, and by looking
/// where inotify does not tell everything, pairs them, and tells which are complete.
///
/// It only looks; it never changes the folder. Used from one thread: call `refresh` when
/// `descriptor` is readable and at `nextDeadline`.
///
/// Times and sizes of files are only compared with what they were: their clock may be a server's.
public final class Inbox {
  /// A file without a sign of its completion must keep size and time for this long.
  static let rest = Duration.seconds(2)
  /// The same where it cannot be known whether somebody has it open for writing.
  static let restUnseen = Duration.seconds(60)
  /// How often a file that rested but is held open for writing is looked at.
  static let writerPause = Duration.seconds(1)
  static let loneAfter = Duration.seconds(60)
  /// How often the system is asked again about a file of which it says nothing.
  static let unknownPause = Duration.seconds(10)
  /// How often inotify is asked for again where it could not be had.
  static let watchPause = Duration.seconds(60)

  let folder: String
  private(set) var polling: Polling
  let openWatch: (String) throws -> FolderWatch
  let clock: () -> ContinuousClock.Instant
  var watch: FolderWatch?
  /// When to ask for inotify again.
  var watchAt: ContinuousClock.Instant?
  /// What the folder was at first: another one in its place is not the same inbox.
  let identity: FileStatus
  let fileSystem: FileSystemKind
  // Keyed by bytes: two names may be canonically equivalent, hence equal as Strings, and yet name
  // two files.
  var entries: [[UInt8]: InboxEntry] = [:]
  var clipsByStem: [String: Set<[UInt8]>] = [:]
  var sidecarsByStem: [String: Set<[UInt8]>] = [:]
  var furtherSidecarsByClipStem: [String: Set<[UInt8]>] = [:]
  var pending: Set<[UInt8]> = []
  /// Files that could not be claimed: not handed out before a time, whatever happens to their names
  /// meanwhile. Putting them back into the inbox is an event like any other.
  var held: [[UInt8]: (identity: String, until: ContinuousClock.Instant)] = [:]
  /// What was reported and is no entry: names that are not UTF-8, and things that are no files.
  var reportedOddities: [[UInt8]: FileStatus] = [:]
  var reportedAmbiguities: [String: Set<[UInt8]>] = [:]
  /// Files of which the system says nothing, say because their disk fails: when to ask again.
  var unknown: [[UInt8]: ContinuousClock.Instant] = [:]

  var needsScan = true
  var nextScan: ContinuousClock.Instant?
  var reportedNoScan = false
  var noticeLimit = NoticeLimit()
  /// Of the folder itself, to be told with the next findings.
  var folderNotices: [String] = []
  /// Looked up at most once in a refresh, for its price.
  var filesBeingWritten: FilesBeingWritten?

  /// Starts watching; the first `refresh` finds what is there already.
  /// - Throws: `InboxError`
  public convenience init(folder: URL, polling: Polling = .automatic) throws {
    try self.init(folder: folder, polling: polling, on: nil)
  }

  /// - Parameters:
  ///   - fileSystem: what the folder's file system is taken for; `nil` asks the system.
  ///   - clock: tells how long a look through the folder takes.
  ///   - openWatch: asks for inotify.
  init(
    folder: URL, polling: Polling, on fileSystem: FileSystemKind?,
    clock: @escaping () -> ContinuousClock.Instant = { .now },
    openWatch: @escaping (String) throws -> FolderWatch = FolderWatch.init(path:)
  ) throws {
    self.folder = SpoolFolders.plain(folder)
    self.polling = polling
    self.openWatch = openWatch
    self.clock = clock
    let descriptor = open(self.folder, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { throw InboxError.unwatchable(self.folder, errno) }
    defer { close(descriptor) }
    var raw = stat()
    guard fstat(descriptor, &raw) == 0 else { throw InboxError.unwatchable(self.folder, errno) }
    identity = FileStatus(raw)
    self.fileSystem = fileSystem ?? FileSystemKind(of: descriptor)
    do {
      watch = try openWatch(self.folder)
    } catch let refused as FolderWatch.Refused {
      guard let pause else { throw InboxError.unwatchable(self.folder, refused.code) }
      folderNotices.append(
        "the system has no inotify to watch \(displayName(self.folder)) with (\(String(cString: strerror(refused.code)))): it is looked through every \(pause) instead, and files are taken some seconds later; raise \(refused.setting) with sysctl, or the daemon's limit of open files; inotify is asked for again every minute"
      )
    }
  }

  /// The pause between two looks through the folder; `nil` where inotify tells everything.
  var pause: Duration? { polling.pause(isWatched: watch != nil, on: fileSystem) }

  /// From now on the folder is looked through as this says.
  public func set(_ polling: Polling, now: ContinuousClock.Instant = .now) {
    self.polling = polling
    // A look says when the next one is due.
    nextScan = now
  }

  /// Readable when something happened in the folder; `nil` while there is no inotify.
  public var descriptor: Int32? { watch?.descriptor }

  /// When to call `refresh` though nothing happened; `nil` while nothing is awaited.
  public var nextDeadline: ContinuousClock.Instant? {
    [
      pending.lazy.compactMap { self.entries[$0]?.deadline }.min(), unknown.values.min(), nextScan,
      watchAt, noticeLimit.nextSummary,
    ].compactMap { $0 }.min()
  }

  /// Takes in what happened since the last call.
  /// - Throws: `InboxError` once the folder is gone; make a new `Inbox` then.
  public func refresh(now: ContinuousClock.Instant = .now) throws -> InboxFindings {
    var findings = InboxFindings()
    var touchedStems: Set<String> = []
    filesBeingWritten = nil
    held = held.filter { $0.value.until > now }
    askForWatch(now)
    switch try watch?.read() {
    case nil: break
    case .overflow:
      needsScan = true
      // It may be among what was lost.
      for name in entries.keys { entries[name]?.awaitsClose = false }
    case .events(let events):
      var kinds: [[UInt8]: FolderWatch.Kind] = [:]
      var order: [[UInt8]] = []
      for event in events {
        if kinds[event.name] == nil { order.append(event.name) }
        if kinds[event.name] == nil || event.kind != .changed {
          kinds[event.name] = event.kind
        }
      }
      for name in order {
        look(at: name, because: kinds[name].map { .event($0) }, now, &touchedStems, &findings)
      }
    }
    if needsScan || nextScan.map({ $0 <= now }) ?? false {
      try scan(now, &touchedStems, &findings)
    }
    let due = pending.filter { name in entries[name]?.deadline.map { $0 <= now } ?? false }
    for name in due.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      look(at: name, because: .deadline, now, &touchedStems, &findings)
      if let dropped = entries[name]?.dropped {
        touchedStems.formUnion([dropped.stem, dropped.furtherEditOf].compactMap { $0 })
      }
    }
    for (name, due) in unknown where due <= now {
      look(at: name, because: .deadline, now, &touchedStems, &findings)
    }
    for stem in touchedStems.sorted() { pair(stem, now, &findings) }
    let lone = pending.filter { entries[$0]?.isLone(at: now) ?? false }
    for name in lone.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      reportIfLone(name, now, &findings)
    }
    tellOfFolder(now, &findings)
    return findings
  }

  func tellOfFolder(_ now: ContinuousClock.Instant, _ findings: inout InboxFindings) {
    let shown = displayName(folder)
    if let count = noticeLimit.summary(at: now) {
      findings.notices.append(
        InboxNotice(
          kind: .leftOut, name: shown,
          message:
            "notices about \(count) more files are left out, as at most \(NoticeLimit.most) a minute are written: list \(shown) to see what lies there"
        ))
    }
    findings.notices += folderNotices.map { InboxNotice(kind: .folder, name: shown, message: $0) }
    folderNotices = []
  }

  /// Inotify that could not be had may be had later.
  func askForWatch(_ now: ContinuousClock.Instant) {
    guard watch == nil else { return }
    guard let due = watchAt, due <= now else {
      watchAt = watchAt ?? now + Self.watchPause
      return
    }
    watchAt = now + Self.watchPause
    // Without a folder the scan fails, and says so.
    guard let opened = try? openWatch(folder) else { return }
    (watch, watchAt, needsScan) = (opened, nil, true)
    folderNotices.append("\(displayName(folder)) is watched with inotify again")
  }

  // MARK: The whole folder

  func scan(
    _ now: ContinuousClock.Instant, _ touchedStems: inout Set<String>,
    _ findings: inout InboxFindings
  ) throws {
    let begin = clock()
    let found: FolderScan
    do {
      found = try FolderScan(of: folder)
    } catch {
      if [ENOENT, ENOTDIR, ESTALE].contains(error.code) { throw InboxError.gone(folder) }
      nextScan = now + (pause ?? Self.unknownPause)
      if !reportedNoScan { folderNotices.append("\(error); it is tried again and again") }
      reportedNoScan = true
      return
    }
    guard found.folder.isSameFile(as: identity) else { throw InboxError.gone(folder) }
    reportedNoScan = false
    let isFirst = needsScan
    needsScan = false
    let news = found.files.filter { isFirst || isNews($0) }.map(\.name)
    for name in news.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      look(at: name, because: isFirst ? nil : .polling, now, &touchedStems, &findings)
    }
    let present = Set(found.files.lazy.map(\.name))
    // Looked at, not forgotten: a list that changes while a server tells it may leave names out.
    for name in Array(entries.keys) + Array(reportedOddities.keys) + Array(unknown.keys)
    where !present.contains(name) {
      look(at: name, because: isFirst ? nil : .polling, now, &touchedStems, &findings)
    }
    nextScan = pause.map { now + Polling.pause($0, afterLookOf: clock() - begin) }
  }

  /// Whether a file is not as it was when it was looked at last.
  func isNews(_ file: FolderScan.File) -> Bool {
    if let entry = entries[file.name] { return entry.status != file.status }
    if let oddity = reportedOddities[file.name] { return oddity != file.status }
    return unknown[file.name] == nil
  }

  /// Hands out these files again after a pause, because they could not be claimed.
  public func offerAgain(
    _ names: [String], after pause: Duration, now: ContinuousClock.Instant = .now
  ) {
    for text in names {
      let name = Array(text.utf8)
      // As it is now: a claim that was undone may have copied it back.
      if let status = (try? FileSystem.status(folder + "/" + text)) ?? entries[name]?.status {
        held[name] = (status.identity, now + pause)
      }
      guard entries[name] != nil else { continue }
      entries[name]?.offered = false
      entries[name]?.deadline = now + pause
      pending.insert(name)
    }
  }

  /// Until when a file is not to be handed out.
  func heldUntil(_ name: [UInt8]) -> ContinuousClock.Instant? {
    guard let hold = held[name], hold.identity == entries[name]?.status.identity else { return nil }
    return hold.until
  }

  func mayBeOffered(_ name: [UInt8]) -> Bool {
    guard let entry = entries[name] else { return false }
    return entry.isComplete && !entry.offered && heldUntil(name) == nil
  }
}

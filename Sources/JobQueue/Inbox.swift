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

  private let folder: String
  private let polling: Polling
  private let openWatch: (String) throws -> FolderWatch
  private let clock: () -> ContinuousClock.Instant
  private var watch: FolderWatch?
  /// When to ask for inotify again.
  private var watchAt: ContinuousClock.Instant?
  /// What the folder was at first: another one in its place is not the same inbox.
  private let identity: FileStatus
  private let fileSystem: FileSystemKind
  // Keyed by bytes: two names may be canonically equivalent, hence equal as Strings, and yet name
  // two files.
  private var entries: [[UInt8]: InboxEntry] = [:]
  private var clipsByStem: [String: Set<[UInt8]>] = [:]
  private var sidecarsByStem: [String: Set<[UInt8]>] = [:]
  private var furtherSidecarsByClipStem: [String: Set<[UInt8]>] = [:]
  private var pending: Set<[UInt8]> = []
  /// Files that could not be claimed: not handed out before a time, whatever happens to their names
  /// meanwhile. Putting them back into the inbox is an event like any other.
  private var held: [[UInt8]: (identity: String, until: ContinuousClock.Instant)] = [:]
  /// What was reported and is no entry: names that are not UTF-8, and things that are no files.
  private var reportedOddities: [[UInt8]: FileStatus] = [:]
  private var reportedAmbiguities: [String: Set<[UInt8]>] = [:]
  /// Files of which the system says nothing, say because their disk fails: when to ask again.
  private var unknown: [[UInt8]: ContinuousClock.Instant] = [:]

  private var needsScan = true
  private var nextScan: ContinuousClock.Instant?
  private var reportedNoScan = false
  private var noticeLimit = NoticeLimit()
  /// Of the folder itself, to be told with the next findings.
  private var folderNotices: [String] = []
  /// Looked up at most once in a refresh, for its price.
  private var filesBeingWritten: FilesBeingWritten?

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
  private var pause: Duration? { polling.pause(isWatched: watch != nil, on: fileSystem) }

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

  private func tellOfFolder(_ now: ContinuousClock.Instant, _ findings: inout InboxFindings) {
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
  private func askForWatch(_ now: ContinuousClock.Instant) {
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

  private func scan(
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
  private func isNews(_ file: FolderScan.File) -> Bool {
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
  private func heldUntil(_ name: [UInt8]) -> ContinuousClock.Instant? {
    guard let hold = held[name], hold.identity == entries[name]?.status.identity else { return nil }
    return hold.until
  }

  private func mayBeOffered(_ name: [UInt8]) -> Bool {
    guard let entry = entries[name] else { return false }
    return entry.isComplete && !entry.offered && heldUntil(name) == nil
  }

  // MARK: One file

  /// Why a file is looked at.
  private enum Reason: Equatable {
    case event(FolderWatch.Kind)
    /// The folder was looked through, and the file is not as it was.
    case polling
    case deadline
  }

  private func look(
    at name: [UInt8], because reason: Reason?, _ now: ContinuousClock.Instant,
    _ touchedStems: inout Set<String>,
    _ findings: inout InboxFindings
  ) {
    guard let text = String(validating: name, as: UTF8.self) else {
      let status = FileStatus(atFolder: folder, name: name)
      if let status, reportedOddities.updateValue(status, forKey: name) == nil {
        report(
          .badName, name, "its name is not UTF-8 text; it stays where it is: rename it", now,
          &findings)
      } else if status == nil {
        reportedOddities[name] = nil
      }
      return
    }
    if DroppedName.isTemporary(text) { return }
    let found: FileStatus?
    do {
      found = try FileSystem.status(folder + "/" + text)
    } catch {
      let isNew = unknown[name] == nil
      forget(name, &touchedStems)
      unknown[name] = now + Self.unknownPause
      if isNew {
        report(
          .unreadable, name, "\(error); it stays where it is, and is looked at again", now,
          &findings)
      }
      return
    }
    guard let status = found else { return forget(name, &touchedStems) }
    unknown[name] = nil
    guard status.isRegular else {
      forget(name, &touchedStems, keepingOddity: true)
      if reportedOddities[name].map({ !$0.isSameFile(as: status) }) ?? true {
        report(
          .notAFile, name, "it is \(status.kind), not a file; it stays where it is", now, &findings)
      }
      reportedOddities[name] = status
      return
    }
    reportedOddities[name] = nil

    var entry =
      entries[name]
      ?? InboxEntry(dropped: DroppedName(text), status: status, phase: .settling(since: now))
    let isNew = entries[name] == nil
    let changed = !isNew && entry.status.differsInContent(from: status)
    let attributesChanged = !isNew && entry.status.mode != status.mode
    if changed || attributesChanged {
      (entry.reportedLone, entry.reportedUnreadable) = (false, false)
    }
    if changed { entry.offered = false }
    let isFinished = reason == .event(.finished)
    if reason == .event(.created) {
      // A further name of a file that there was before: nobody need close it.
      entry.awaitsClose = status.links == 1
      entry.phase = .settling(since: now)
      entry.changedUnseen = false
    } else if isFinished {
      (entry.awaitsClose, entry.changedUnseen) = (false, false)
    } else if pause != nil && watch != nil {
      // Another file in its place: whose creation was seen is gone.
      if !isNew && !entry.status.isSameFile(as: status) { entry.awaitsClose = false }
      if changed || isNew && reason == .polling { entry.changedUnseen = true }
    }
    entry.status = status
    switch entry.phase {
    // An empty file that was closed may be a placeholder that some programs make before they write.
    case _ where isFinished: entry.phase = status.size > 0 ? .closed : .settling(since: now)
    case _ where changed, .unreadable: entry.phase = .settling(since: now)
    default: break
    }
    decide(&entry, path: folder + "/" + text, now)
    if entry.phase == .unreadable && !entry.reportedUnreadable {
      entry.reportedUnreadable = true
      report(
        .unreadable, name,
        "the daemon may not read it; it stays where it is: give the daemon's user or group the right to",
        now, &findings)
    }
    store(entry, under: name)
    touchedStems.formUnion([entry.dropped.stem, entry.dropped.furtherEditOf].compactMap { $0 })
    // Whether `clip.2.yaml` belongs to `clip.mp4` depends on whether there is a `clip.2.mp4`, and
    // the other way round.
    if !entry.dropped.isSidecar {
      for further in furtherSidecarsByClipStem[entry.dropped.stem] ?? [] {
        touch(further, &touchedStems)
      }
    }
  }

  private func touch(_ name: [UInt8], _ touchedStems: inout Set<String>) {
    if let stem = entries[name]?.dropped.stem { touchedStems.insert(stem) }
  }

  private func decide(_ entry: inout InboxEntry, path: String, _ now: ContinuousClock.Instant) {
    entry.deadline = nil
    switch entry.phase {
    case .settling(let since) where now < since + Self.rest:
      entry.deadline = since + Self.rest
    case .closed, .settling, .unreadable:
      switch completeness(of: path, entry) {
      case .changed:
        entry.phase = .settling(since: now)
        entry.deadline = now + Self.rest
      case .complete: entry.phase = .complete(since: now)
      case .unknown: decideUnseen(&entry, now)
      case .unreadable:
        entry.phase = .unreadable
        // No event tells when a server gives the right to.
        if pause != nil { entry.deadline = now + Self.unknownPause }
      case .beingWritten:
        if entry.phase == .closed { entry.phase = .settling(since: now) }
        entry.deadline = now + Self.writerPause
      }
    case .complete: break
    }
    if case .complete(let since) = entry.phase, !entry.reportedLone {
      entry.deadline = since + Self.loneAfter
    }
  }

  /// What is known of a file whose writers, if there are any, cannot be seen.
  private func decideUnseen(_ entry: inout InboxEntry, _ now: ContinuousClock.Instant) {
    switch entry.phase {
    case .settling(let since) where !entry.awaitsClose && now < since + Self.restUnseen:
      entry.deadline = since + Self.restUnseen
    case .settling where entry.awaitsClose: break
    default: entry.phase = .complete(since: now)
    }
  }

  private enum Completeness { case complete, beingWritten, changed, unknown, unreadable }

  private func completeness(of path: String, _ entry: InboxEntry) -> Completeness {
    let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else {
      // EWOULDBLOCK: somebody holds a lease on it.
      return errno == EACCES || errno == EPERM ? .unreadable : .beingWritten
    }
    defer { close(descriptor) }
    // Network file systems remember size and time for up to a minute; opening a file is what makes
    // them ask the server.
    var raw = stat()
    guard fstat(descriptor, &raw) == 0 else { return .beingWritten }
    if entry.status.hasOtherSizeOrTime(than: FileStatus(raw)) { return .changed }
    switch OpenForWriting.answer(for: descriptor, on: fileSystem, processes: processes()) {
    case .yes: return .beingWritten
    case .no where entry.changedUnseen: return .unknown
    case .no: return .complete
    case .unknown: return .unknown
    }
  }

  private func processes() -> FilesBeingWritten {
    let found = filesBeingWritten ?? .now()
    filesBeingWritten = found
    return found
  }

  private func store(_ entry: InboxEntry, under name: [UInt8]) {
    if entries.updateValue(entry, forKey: name) == nil {
      let dropped = entry.dropped
      if dropped.isSidecar {
        sidecarsByStem[dropped.stem, default: []].insert(name)
        if let base = dropped.furtherEditOf {
          furtherSidecarsByClipStem[base, default: []].insert(name)
        }
      } else {
        clipsByStem[dropped.stem, default: []].insert(name)
      }
    }
    if let until = heldUntil(name) {
      entries[name]?.deadline = min(entry.deadline ?? until, until)
    }
    if entries[name]?.deadline != nil { pending.insert(name) } else { pending.remove(name) }
  }

  private func forget(
    _ name: [UInt8], _ touchedStems: inout Set<String>, keepingOddity: Bool = false
  ) {
    if !keepingOddity { reportedOddities[name] = nil }
    unknown[name] = nil
    pending.remove(name)
    guard let dropped = entries.removeValue(forKey: name)?.dropped else { return }
    touchedStems.formUnion([dropped.stem, dropped.furtherEditOf].compactMap { $0 })
    if dropped.isSidecar {
      sidecarsByStem.remove(name, from: dropped.stem)
      if let base = dropped.furtherEditOf { furtherSidecarsByClipStem.remove(name, from: base) }
    } else {
      clipsByStem.remove(name, from: dropped.stem)
      for further in furtherSidecarsByClipStem[dropped.stem] ?? [] { touch(further, &touchedStems) }
    }
  }

  // MARK: Pairing

  /// The sidecars that belong to the clips of this stem.
  private func sidecars(ofClipsNamed stem: String) -> Set<[UInt8]> {
    let further = (furtherSidecarsByClipStem[stem] ?? []).filter { name in
      entries[name].map { clipsByStem[$0.dropped.stem] == nil } ?? false
    }
    return (sidecarsByStem[stem] ?? []).union(further)
  }

  private func pair(_ stem: String, _ now: ContinuousClock.Instant, _ findings: inout InboxFindings)
  {
    guard let clips = clipsByStem[stem] else {
      reportedAmbiguities[stem] = nil
      return offerLateSidecars(stem, now, &findings)
    }
    let sidecars = sidecars(ofClipsNamed: stem)
    let sameStem = Dictionary(grouping: sidecars) { entries[$0]?.dropped.stem ?? "" }
    if !sidecars.isEmpty && clips.count > 1 || sameStem.contains(where: { $0.value.count > 1 }) {
      let members = clips.union(sidecars)
      if reportedAmbiguities.updateValue(members, forKey: stem) != members {
        let names = members.map { displayName(bytes: $0) }.sorted().joined(separator: ", ")
        report(
          .ambiguous, Array(stem.utf8),
          "which of these belong together cannot be told: \(names); they stay until there is one video, and one sidecar to each edit",
          now, &findings)
      }
      return
    }
    reportedAmbiguities[stem] = nil
    guard let clip = clips.first, mayBeOffered(clip) else { return }
    let complete = sidecars.filter { entries[$0]?.isComplete == true && heldUntil($0) == nil }
    guard !complete.isEmpty, stillComplete(complete.union(clips), now) else { return }
    for name in complete.union(clips) { entries[name]?.offered = true }
    let ordered = complete.sorted { left, right in
      let numbers = (
        entries[left]?.dropped.editNumber(under: stem) ?? 0,
        entries[right]?.dropped.editNumber(under: stem) ?? 0
      )
      return numbers.0 != numbers.1 ? numbers.0 < numbers.1 : left.lexicographicallyPrecedes(right)
    }
    findings.ready.append(
      ReadyClip(
        clip: String(decoding: clip, as: UTF8.self),
        sidecars: ordered.map { String(decoding: $0, as: UTF8.self) }))
  }

  private func offerLateSidecars(
    _ stem: String, _ now: ContinuousClock.Instant, _ findings: inout InboxFindings
  ) {
    let sidecars = sidecarsByStem[stem] ?? []
    if let base = sidecars.first.flatMap({ entries[$0]?.dropped.furtherEditOf }),
      clipsByStem[base] != nil
    {
      return
    }
    if sidecars.count > 1 {
      // Without its clip this is no question yet; it will be one when the clip comes.
      return
    }
    for name in sidecars where mayBeOffered(name) {
      guard stillComplete([name], now) else { continue }
      entries[name]?.offered = true
      findings.lateSidecars.append(String(decoding: name, as: UTF8.self))
    }
  }

  /// Whether files found complete some time ago still are: somebody may have opened them again
  /// meanwhile.
  private func stillComplete(_ names: Set<[UInt8]>, _ now: ContinuousClock.Instant) -> Bool {
    var all = true
    for name in names {
      guard var entry = entries[name], case .complete(let since) = entry.phase, since != now else {
        continue
      }
      let path = folder + "/" + String(decoding: name, as: UTF8.self)
      guard let status = try? FileSystem.status(path), status.isRegular,
        !entry.status.differsInContent(from: status),
        [.complete, .unknown].contains(completeness(of: path, entry))
      else {
        entry.phase = .settling(since: now)
        entry.deadline = now + Self.rest
        store(entry, under: name)
        all = false
        continue
      }
    }
    return all
  }

  private func reportIfLone(
    _ name: [UInt8], _ now: ContinuousClock.Instant, _ findings: inout InboxFindings
  ) {
    guard let entry = entries[name], entry.isLone(at: now) else { return }
    entries[name]?.reportedLone = true
    entries[name]?.deadline = heldUntil(name)
    if entries[name]?.deadline == nil { pending.remove(name) }
    let stem = entry.dropped.stem
    if entry.dropped.isSidecar {
      let clips = clipsByStem[stem] ?? entry.dropped.furtherEditOf.flatMap { clipsByStem[$0] }
      guard clips == nil else { return }
      findings.loneSidecars.append(String(decoding: name, as: UTF8.self))
      report(
        .lone, name, "no video of its name came within a minute; it is kept until one does", now,
        &findings)
    } else {
      guard sidecars(ofClipsNamed: stem).isEmpty else { return }
      report(
        .lone, name,
        "no sidecar (\(displayName(stem)).yaml, .yml, .json or .txt) came within a minute; it is kept until one does",
        now, &findings)
    }
  }

  private func report(
    _ kind: InboxNotice.Kind, _ name: [UInt8], _ message: @autoclosure () -> String,
    _ now: ContinuousClock.Instant, _ findings: inout InboxFindings
  ) {
    guard noticeLimit.allows(at: now) else { return }
    let shown = displayName(bytes: name)
    findings.notices.append(
      InboxNotice(kind: kind, name: shown, message: "\(shown): \(message())"))
  }
}

extension DroppedName {
  /// The number of the edit that a sidecar asks for, of the clips named `clipStem`; 1 where the
  /// names are the same.
  fileprivate func editNumber(under clipStem: String) -> Int { stem == clipStem ? 1 : editNumber }
}

extension InboxEntry {
  /// Whether it has been complete for a minute and is still here, which was not said yet.
  fileprivate func isLone(at now: ContinuousClock.Instant) -> Bool {
    guard case .complete(let since) = phase else { return false }
    return !reportedLone && now >= since + Inbox.loneAfter
  }
}

extension FileStatus {
  fileprivate init?(atFolder folder: String, name: [UInt8]) {
    var raw = stat()
    let path = (Array(folder.utf8) + [0x2f] + name).map { CChar(bitPattern: $0) } + [0]
    guard lstat(path, &raw) == 0 else { return nil }
    self.init(raw)
  }

  fileprivate func differsInContent(from other: FileStatus) -> Bool {
    !isSameFile(as: other) || hasOtherSizeOrTime(than: other)
  }

  fileprivate func hasOtherSizeOrTime(than other: FileStatus) -> Bool {
    size != other.size || modifiedSeconds != other.modifiedSeconds
      || modifiedNanoseconds != other.modifiedNanoseconds
  }
}

extension [String: Set<[UInt8]>] {
  fileprivate mutating func remove(_ name: [UInt8], from stem: String) {
    self[stem]?.remove(name)
    if self[stem]?.isEmpty == true { self[stem] = nil }
  }
}

import Foundation
import Glibc

/// Looking at one file: whether it is complete, and what is wrong with it.
extension Inbox {
  /// Why a file is looked at.
  enum Reason: Equatable {
    case event(FolderWatch.Kind)
    /// The folder was looked through, and the file is not as it was.
    case polling
    case deadline
  }

  func look(
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

  func touch(_ name: [UInt8], _ touchedStems: inout Set<String>) {
    if let stem = entries[name]?.dropped.stem { touchedStems.insert(stem) }
  }

  func decide(_ entry: inout InboxEntry, path: String, _ now: ContinuousClock.Instant) {
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
  func decideUnseen(_ entry: inout InboxEntry, _ now: ContinuousClock.Instant) {
    switch entry.phase {
    case .settling(let since) where !entry.awaitsClose && now < since + Self.restUnseen:
      entry.deadline = since + Self.restUnseen
    case .settling where entry.awaitsClose: break
    default: entry.phase = .complete(since: now)
    }
  }

  enum Completeness { case complete, beingWritten, changed, unknown, unreadable }

  func completeness(of path: String, _ entry: InboxEntry) -> Completeness {
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

  func processes() -> FilesBeingWritten {
    let found = filesBeingWritten ?? .now()
    filesBeingWritten = found
    return found
  }

  func store(_ entry: InboxEntry, under name: [UInt8]) {
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

  func forget(
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
}

extension FileStatus {
  init?(atFolder folder: String, name: [UInt8]) {
    var raw = stat()
    let path = (Array(folder.utf8) + [0x2f] + name).map { CChar(bitPattern: $0) } + [0]
    guard lstat(path, &raw) == 0 else { return nil }
    self.init(raw)
  }

  func differsInContent(from other: FileStatus) -> Bool {
    !isSameFile(as: other) || hasOtherSizeOrTime(than: other)
  }

  func hasOtherSizeOrTime(than other: FileStatus) -> Bool {
    size != other.size || modifiedSeconds != other.modifiedSeconds
      || modifiedNanoseconds != other.modifiedNanoseconds
  }
}

extension [String: Set<[UInt8]>] {
  mutating func remove(_ name: [UInt8], from stem: String) {
    self[stem]?.remove(name)
    if self[stem]?.isEmpty == true { self[stem] = nil }
  }
}

import Foundation

/// Which sidecars belong to which clips, and what is said of those that wait.
extension Inbox {
  /// The sidecars that belong to the clips of this stem.
  func sidecars(ofClipsNamed stem: String) -> Set<[UInt8]> {
    let further = (furtherSidecarsByClipStem[stem] ?? []).filter { name in
      entries[name].map { clipsByStem[$0.dropped.stem] == nil } ?? false
    }
    return (sidecarsByStem[stem] ?? []).union(further)
  }

  func pair(_ stem: String, _ now: ContinuousClock.Instant, _ findings: inout InboxFindings) {
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

  func offerLateSidecars(
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
  func stillComplete(_ names: Set<[UInt8]>, _ now: ContinuousClock.Instant) -> Bool {
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

  func reportIfLone(
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

  func report(
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
  func editNumber(under clipStem: String) -> Int { stem == clipStem ? 1 : editNumber }
}

extension InboxEntry {
  /// Whether it has been complete for a minute and is still here, which was not said yet.
  func isLone(at now: ContinuousClock.Instant) -> Bool {
    guard case .complete(let since) = phase else { return false }
    return !reportedLone && now >= since + Inbox.loneAfter
  }
}

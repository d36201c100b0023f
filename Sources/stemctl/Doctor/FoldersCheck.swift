import Foundation
import JobQueue

/// The root's folders: whether they are there, whose they are, who may use them, on which disk they
/// lie and how much room there is.
struct FoldersCheck: Check {
  let patient: Patient
  let topic = "folders"

  func findings() -> [Finding] {
    let root = patient.folders.rootPath
    guard let facts = FolderFacts(path: root) else { return [missingRoot(root, errno)] }
    guard facts.isFolder else {
      return [.problem("\(root) is no folder", fix: "name the daemon's folder with --root")]
    }
    guard access(root, X_OK) == 0 else {
      return [
        .problem(
          "this user may not look into \(root) (\(facts.text))",
          fix: Self.joinGroup(facts.group))
      ]
    }
    let mounts = Mounts(table: kernelText("/proc/self/mountinfo"))
    var findings: [Finding] = []
    if facts.mode & 0o002 != 0, facts.mode & 0o1000 == 0 {
      findings.append(
        .warning(
          "anybody may put something in the place of \(root)'s folders (\(facts.text))",
          fix: "chmod o-w \(root)"))
    }
    let named = names.map { name in (name, URL(filePath: root).appending(path: name).path) }
    for (name, path) in named { findings.append(finding(of: name, path, mounts)) }
    findings.append(renames(mounts))
    findings += space(named.map { $0.1 })
    findings.append(scratch(mounts))
    return findings
  }

  private let names = ["inbox", "work", "outbox", "state", "cache", "run"]

  private func missingRoot(_ root: String, _ code: Int32) -> Finding {
    guard code == ENOENT else {
      return .problem(
        "\(root) cannot be looked at: \(String(cString: strerror(code)))",
        fix: "run 'stemctl doctor' as root, or as a member of the group stemd")
    }
    return .warning(
      "the root \(root) does not exist",
      fix:
        "start stemd, which makes it (systemctl start stemd, or stemd --root \(root)); or name the root that you mean with --root or STEMD_ROOT"
    )
  }

  static func joinGroup(_ group: gid_t) -> String {
    let name = getgrgid(group).map { String(cString: $0.pointee.gr_name) } ?? "\(group)"
    let user = Patient.name(of: getuid())
    // Whoever started it by hand keeps it to himself.
    if group == 0 || name == user { return "do it as the user who runs stemd" }
    return "adduser \(user) \(name) (as root), and log in anew"
  }

  private func finding(of name: String, _ path: String, _ mounts: Mounts) -> Finding {
    guard let facts = FolderFacts(path: path) else {
      return errno == ENOENT
        ? .warning("\(name) is missing", fix: "restart stemd, which makes what is missing")
        : .warning(
          "\(name) cannot be looked at: \(String(cString: strerror(errno)))",
          fix: "run 'stemctl doctor' as root or as the daemon's user")
    }
    guard facts.isFolder else {
      return .problem("\(path) is no folder", fix: "move it away, and restart stemd")
    }
    let mount = mounts.mount(of: Self.resolved(path))
    if mount?.isReadOnly == true {
      return .problem(
        "\(name) lies on a file system that is mounted read-only (\(mount?.point ?? ""))",
        fix: "mount -o remount,rw \(mount?.point ?? "")")
    }
    let owner = patient.owner ?? facts.owner
    if !facts.isWritable(for: owner) {
      return .problem(
        "\(name) (\(facts.text)) cannot be written to by \(Patient.name(of: owner)), as whom stemd runs",
        fix: "chown \(Patient.name(of: owner)) \(path) && chmod u+rwx \(path)")
    }
    let isPrivate = ["work", "state", "cache"].contains(name)
    if isPrivate, facts.owner == owner, facts.mode & 0o077 != 0 {
      return .warning(
        "\(name) (\(facts.text)) can be read or changed by others", fix: "chmod 700 \(path)")
    }
    if !isPrivate, facts.mode & 0o002 != 0, facts.mode & 0o1000 == 0 {
      return .warning(
        "anybody may remove what lies in \(name) (\(facts.text))",
        fix: name == "run" ? "chmod 750 \(path)" : "chmod o-w \(path), or chmod +t \(path)")
    }
    if name == "inbox", let kind = mount?.kind, Self.isPolled(kind) {
      return .ok(
        "\(name): \(facts.text); on \(kind), where clips are noticed within a minute at most rather than at once"
      )
    }
    return .ok("\(name): \(facts.text)")
  }

  /// File systems that do not tell of every change.
  private static func isPolled(_ kind: String) -> Bool {
    ["nfs", "cifs", "smb", "fuse", "9p", "overlay", "virtiofs"].contains { kind.hasPrefix($0) }
  }

  private func renames(_ mounts: Mounts) -> Finding {
    let places = ["inbox", "work", "outbox"].map { name in
      (
        name,
        mounts.mount(
          of: Self.resolved(URL(filePath: patient.folders.rootPath).appending(path: name).path))
      )
    }
    let work = places[1].1
    let elsewhere = places.filter { $0.1?.number != work?.number }
    guard let first = elsewhere.first else {
      return .ok("inbox, work and outbox are on one mount: claims and deliveries are renames")
    }
    return .warning(
      "\(first.0) is on another mount (\(first.1?.point ?? "?")) than work (\(work?.point ?? "?")): every clip is copied rather than renamed",
      fix:
        "put the whole root on one file system: stop stemd, move \(patient.folders.rootPath) there, start it with --root"
    )
  }

  private func space(_ paths: [String]) -> [Finding] {
    var seen: Set<UInt64> = []
    return (paths + [patient.folders.rootPath]).compactMap { path in
      var device = stat()
      var room = statvfs()
      guard stat(path, &device) == 0, statvfs(path, &room) == 0,
        seen.insert(UInt64(device.st_dev)).inserted
      else { return nil }
      let free = Int(
        clamping: UInt64(room.f_bavail).multipliedReportingOverflow(by: UInt64(room.f_frsize))
          .partialValue)
      let reserve = Int(patient.settings.limits.spool.spoolReserve)
      let clean =
        "remove results from the outbox that nobody needs any more, or give the disk more room: du -sh \(patient.folders.rootPath)/*"
      if room.f_files > 0, room.f_favail < 1000 {
        return .problem(
          "the disk of \(path) has room for only \(room.f_favail) more files", fix: clean)
      }
      if free < reserve {
        return .problem(
          "the disk of \(path) has \(byteText(free)) free, less than 'spool_reserve' (\(byteText(reserve))): no job is accepted or begun",
          fix: clean)
      }
      if free < reserve + (1 << 30) {
        return .warning("the disk of \(path) has \(byteText(free)) free", fix: clean)
      }
      return .ok("\(byteText(free)) free on the disk of \(path)")
    }
  }

  /// Where the frames of edits in the foreground lie.
  private func scratch(_ mounts: Mounts) -> Finding {
    let path = ScratchFolder.path
    guard access(path, W_OK | X_OK) == 0 else {
      return .warning(
        "\(path), where 'stemctl edit' keeps frames, cannot be written to: \(String(cString: strerror(errno)))",
        fix: "set TMPDIR to a folder that can")
    }
    if mounts.mount(of: Self.resolved(path))?.kind == "tmpfs" {
      return .warning(
        "\(path), where 'stemctl edit' keeps frames, is memory (tmpfs)",
        fix: "unset TMPDIR, or set it to a folder on a disk")
    }
    return .ok("frames of 'stemctl edit' lie in \(path)")
  }

  private static func resolved(_ path: String) -> String {
    guard let real = realpath(path, nil) else { return path }
    defer { free(real) }
    return String(cString: real)
  }
}

import Foundation

/// What the system tells of a file or folder; links are followed.
struct FolderFacts: Sendable {
  let path: String
  let mode: mode_t
  let owner: uid_t
  let group: gid_t
  let isFolder: Bool

  /// `nil` where it does not exist or must not be looked at; `errno` then says which.
  init?(path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    self.path = path
    (mode, owner, group) = (status.st_mode & 0o7777, status.st_uid, status.st_gid)
    isFolder = status.st_mode & S_IFMT == S_IFDIR
  }

  /// `ada:stemd 2770`.
  var text: String {
    let name = getgrgid(group).map { String(cString: $0.pointee.gr_name) } ?? "\(group)"
    return "\(Patient.name(of: owner)):\(name) \(String(mode, radix: 8))"
  }

  /// Whether a user may make and remove files in it, by its mode.
  func isWritable(for user: uid_t) -> Bool {
    let needed: mode_t = 0o3
    if user == 0 { return true }
    if user == owner { return mode >> 6 & needed == needed }
    if Self.groups(of: user).contains(group) { return mode >> 3 & needed == needed }
    return mode & needed == needed
  }

  private static func groups(of user: uid_t) -> [gid_t] {
    guard let entry = getpwuid(user)?.pointee else { return [] }
    var count: Int32 = 256
    var groups = [gid_t](repeating: 0, count: Int(count))
    guard getgrouplist(entry.pw_name, entry.pw_gid, &groups, &count) >= 0 else {
      return [entry.pw_gid]
    }
    return Array(groups.prefix(Int(count)))
  }
}

/// What is mounted where; of each path, its mount.
struct Mounts: Sendable {
  struct Mount: Sendable, Equatable {
    var point: String
    /// `ext4`, `nfs4` …
    var kind: String
    var isReadOnly: Bool
    /// The system's number of it: two mounts of one disk have two, and no rename leads from one to
    /// the other.
    var number: Int
  }

  let all: [Mount]

  /// - Parameter table: as /proc/self/mountinfo has it (proc(5)).
  init(table: String) {
    all = table.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ")
      guard words.count > 6, let number = Int(words[0]),
        let dash = words.firstIndex(of: "-"), words.indices.contains(dash + 1)
      else { return nil }
      return Mount(
        point: Self.unescaped(words[4]), kind: String(words[dash + 1]),
        isReadOnly: words[5].split(separator: ",").contains("ro"), number: number)
    }
  }

  /// The mount that holds a path, whose links are resolved.
  func mount(of path: String) -> Mount? {
    // Of several on one point, the last one is on top.
    all.enumerated().filter { _, mount in
      mount.point == "/" || path == mount.point || path.hasPrefix(mount.point + "/")
    }.max { ($0.element.point.utf8.count, $0.offset) < ($1.element.point.utf8.count, $1.offset) }?
    .element
  }

  /// Spaces and the like are written as `\040`.
  private static func unescaped(_ word: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = Array(word.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), rest.count >= 3,
        let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
      {
        bytes.append(code)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

import CLinux
import Foundation
import Glibc

/// A system call on a file that failed: what was tried, on which file, and the system's reason.
public struct FileError: Error, CustomStringConvertible {
  public let action: String
  public let path: String
  public let code: Int32

  init(_ action: String, _ path: String, code: Int32 = errno) {
    self.action = action
    self.path = path
    self.code = code
  }

  public var description: String {
    "cannot \(action) \(displayName(path)): \(String(cString: strerror(code)))"
  }
}

/// What `lstat` says of a file.
struct FileStatus: Equatable {
  var device: UInt64
  var inode: UInt64
  var size: Int64
  var modifiedSeconds: Int
  var modifiedNanoseconds: Int
  var mode: mode_t
  /// How many names it has.
  var links: Int
  /// The user whose it is.
  var owner: uid_t

  init(_ raw: stat) {
    device = UInt64(raw.st_dev)
    inode = UInt64(raw.st_ino)
    size = Int64(raw.st_size)
    modifiedSeconds = raw.st_mtim.tv_sec
    modifiedNanoseconds = raw.st_mtim.tv_nsec
    mode = raw.st_mode
    links = Int(raw.st_nlink)
    owner = raw.st_uid
  }

  var isRegular: Bool { mode & S_IFMT == S_IFREG }
  var isFolder: Bool { mode & S_IFMT == S_IFDIR }

  /// In words: "a folder", "a symbolic link" …
  var kind: String {
    switch mode & S_IFMT {
    case S_IFREG: "a file"
    case S_IFDIR: "a folder"
    case S_IFLNK: "a symbolic link"
    case S_IFIFO: "a FIFO"
    case S_IFSOCK: "a socket"
    default: "a device"
    }
  }

  /// Tells this file from any other that ever has its name. The inode alone does not: a file system
  /// gives a freed one to the next file.
  var identity: String { "\(device):\(inode):\(size):\(modifiedSeconds).\(modifiedNanoseconds)" }

  func isSameFile(as other: FileStatus) -> Bool { device == other.device && inode == other.inode }
}

/// The few operations that claims and deliveries are made of. None follows a symbolic link at the
/// path's end, none replaces a file silently (but for `writeAside`), and what says so is on the
/// disk when it returns.
package enum FileSystem {
  /// `nil` where there is no such file.
  static func status(_ path: String) throws -> FileStatus? {
    var raw = stat()
    guard lstat(path, &raw) == 0 else {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw FileError("look at", path)
    }
    return FileStatus(raw)
  }

  /// Makes one folder; fine where it exists, as a folder and no link to one.
  static func makeFolder(_ path: String) throws {
    guard mkdir(path, 0o770) != 0 else { return }
    guard errno == EEXIST else { throw FileError("make the folder", path) }
    guard try status(path)?.isFolder == true else {
      throw FileError("make the folder", path, code: ENOTDIR)
    }
  }

  /// Makes a folder where nothing has its name, not even a link.
  static func makeFolder(atMissing path: String) throws {
    if try status(path) == nil { try makeFolder(path) }
  }

  /// Makes a folder and those above it that are missing.
  static func makeFolders(_ path: String) throws {
    var raw = stat()
    // Links on the way are followed.
    if stat(path, &raw) == 0 && FileStatus(raw).isFolder { return }
    let parent = (path as NSString).deletingLastPathComponent
    if !parent.isEmpty && parent != path { try makeFolders(parent) }
    try makeFolder(path)
  }

  /// The names in a folder, in no order, without `.` and `..`; bytes, since a name need not be
  /// UTF-8.
  package static func names(in folder: String) throws -> [[UInt8]] {
    guard let stream = opendir(folder) else { throw FileError("list", folder) }
    defer { closedir(stream) }
    return names(of: stream)
  }

  private static func names(of stream: OpaquePointer) -> [[UInt8]] {
    var names: [[UInt8]] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: UInt8.self, capacity: 256) {
          Array(UnsafeBufferPointer(start: $0, count: strlen($0)))
        }
      }
      if name != [0x2e] && name != [0x2e, 0x2e] { names.append(name) }
    }
    return names
  }

  /// Renames; throws `FileError` with `EEXIST` where `target` exists and `EXDEV` where it lies on
  /// another mount.
  static func move(_ source: String, to target: String) throws {
    if renameat2(AT_FDCWD, source, AT_FDCWD, target, stem_RENAME_NOREPLACE) == 0 { return }
    guard errno == EINVAL || errno == ENOSYS else {
      throw FileError("move \(displayName(source)) to", target)
    }
    // A file system that cannot refuse to replace (NFS): nobody but the daemon makes the names it
    // moves to, so looking first is enough.
    if try status(target) != nil {
      throw FileError("move \(displayName(source)) to", target, code: EEXIST)
    }
    if rename(source, target) != 0 { throw FileError("move \(displayName(source)) to", target) }
  }

  /// Moves a file by rename, or by a synced copy where it lies on another mount. Repeating it after
  /// a crash completes it.
  static func moveFile(_ source: String, to target: String) throws {
    do {
      try move(source, to: target)
    } catch let error as FileError where error.code == EXDEV {
      let copied = try status(source)
      try copy(source, to: target)
      do {
        // The original goes when the copy has its name on the disk: two file systems keep no order.
        let folder = (target as NSString).deletingLastPathComponent
        try syncFolder(folder)
        try syncFolder((folder as NSString).deletingLastPathComponent)
        try removeOriginal(source, asItWas: copied)
      } catch {
        try removeAll(target)
        throw error
      }
    }
  }

  /// Removes what was copied, unless it is another file by now or somebody writes it.
  static func removeOriginal(_ source: String, asItWas copied: FileStatus?) throws {
    guard let now = try status(source), now.identity == copied?.identity, !isBeingWritten(source)
    else { throw FileError("remove the original of the copy, which changed:", source, code: EBUSY) }
    if unlink(source) != 0 && errno != ENOENT { throw FileError("remove", source) }
  }

  /// A second name for a file, or a synced copy where the file system has none or forbids it.
  static func linkOrCopy(_ source: String, to target: String) throws {
    if linkat(AT_FDCWD, source, AT_FDCWD, target, 0) == 0 || errno == EEXIST { return }
    switch errno {
    case EXDEV, EPERM, EMLINK, EOPNOTSUPP, ENOSYS, EACCES: try copy(source, to: target)
    default: throw FileError("link \(displayName(source)) to", target)
    }
  }

  /// Copies a regular file aside, syncs it, and renames it to `target`.
  static func copy(_ source: String, to target: String) throws {
    let input = open(source, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard input >= 0 else { throw FileError("read", source) }
    defer { close(input) }
    let aside = target + ".part"
    let output = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o660)
    guard output >= 0 else { throw FileError("write", aside) }
    defer { close(output) }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { buffer.deallocate() }
    while true {
      let count = Glibc.read(input, buffer.baseAddress, buffer.count)
      guard count >= 0 else {
        if errno == EINTR { continue }
        throw FileError("read", source)
      }
      if count == 0 { break }
      try writeAll(UnsafeRawBufferPointer(rebasing: buffer[..<count]), to: output, path: aside)
    }
    guard fsync(output) == 0 else { throw FileError("sync", aside) }
    try move(aside, to: target)
  }

  /// Writes a whole file aside, syncs it, and renames it over `path`.
  static func writeAside(_ data: Data, to path: String) throws {
    let aside = path + ".part"
    let output = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o660)
    guard output >= 0 else { throw FileError("write", aside) }
    defer { close(output) }
    try data.withUnsafeBytes { try writeAll($0, to: output, path: aside) }
    guard fsync(output) == 0 else { throw FileError("sync", aside) }
    guard rename(aside, path) == 0 else { throw FileError("write", path) }
  }

  /// Writes a new file; it is not yet on the disk.
  static func write(_ data: Data, toNew path: String) throws {
    let output = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o660)
    guard output >= 0 else { throw FileError("write", path) }
    defer { close(output) }
    try data.withUnsafeBytes { try writeAll($0, to: output, path: path) }
  }

  static func append(_ text: String, to path: String) throws {
    try append(Data(text.utf8), to: path)
  }

  static func append(_ data: Data, to path: String) throws {
    let output = open(
      path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0o660)
    guard output >= 0 else { throw FileError("append to", path) }
    defer { close(output) }
    try data.withUnsafeBytes { try writeAll($0, to: output, path: path) }
  }

  /// At most `limit` bytes of a regular file.
  /// - Parameter followsLinks: Where whoever may put a link there may put anything there.
  package static func read(_ path: String, limit: Int, followsLinks: Bool = false) throws -> [UInt8]
  {
    let input = open(
      path, O_RDONLY | (followsLinks ? 0 : O_NOFOLLOW) | O_NONBLOCK | O_CLOEXEC)
    guard input >= 0 else { throw FileError("read", path) }
    defer { close(input) }
    var bytes = [UInt8](repeating: 0, count: limit)
    var filled = 0
    while filled < limit {
      let count = bytes.withUnsafeMutableBytes {
        Glibc.read(input, $0.baseAddress! + filled, limit - filled)
      }
      guard count >= 0 else {
        if errno == EINTR { continue }
        throw FileError("read", path)
      }
      if count == 0 { break }
      filled += count
    }
    return Array(bytes[..<filled])
  }

  /// - Returns: at most `length` bytes of a regular file from `offset` on, and the file's size.
  static func readPart(_ path: String, offset: Int, length: Int) throws -> (bytes: Data, size: Int)
  {
    let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError("open", path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw FileError("open", path, code: EINVAL)
    }
    let size = Int(status.st_size)
    var bytes = Data(count: offset < 0 || offset >= size ? 0 : min(length, size - offset))
    var filled = 0
    while filled < bytes.count {
      let count = bytes.withUnsafeMutableBytes {
        pread(descriptor, $0.baseAddress! + filled, $0.count - filled, off_t(offset + filled))
      }
      guard count >= 0 else {
        if errno == EINTR { continue }
        throw FileError("read", path)
      }
      if count == 0 { break }
      filled += count
    }
    return (bytes.prefix(filled), size)
  }

  /// Whether a name leads to nothing but a file of a folder.
  static func isPlainName(_ name: String) -> Bool {
    !name.isEmpty && name != "." && name != ".." && name.utf8.count <= 255
      && !name.utf8.contains(0x2f) && !name.utf8.contains(0)
  }

  /// Puts a file's content on the disk.
  static func sync(_ path: String) throws { try sync(path, flags: O_NOFOLLOW | O_NONBLOCK) }

  /// Puts a folder's names on the disk. A spool's folder may be a link to another disk.
  static func syncFolder(_ path: String) throws { try sync(path, flags: O_DIRECTORY) }

  private static func sync(_ path: String, flags: Int32) throws {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | flags)
    guard descriptor >= 0 else { throw FileError("open", path) }
    defer { close(descriptor) }
    // Some file systems cannot sync a folder, and say EINVAL: their names are as safe as they get.
    guard fsync(descriptor) == 0 || errno == EINVAL else { throw FileError("sync", path) }
  }

  /// Puts everything on the disk that was written to the file system that a folder lies on: one wait
  /// for a hundred files, where each would have had its own.
  static func syncFileSystem(of folder: String) throws {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError("open", folder) }
    defer { close(descriptor) }
    guard syncfs(descriptor) == 0 else { throw FileError("sync the disk of", folder) }
  }

  /// Bytes that a daemon without special rights may still write where `folder` lies; none where the
  /// file system can hold no more files.
  static func freeBytes(at folder: String) throws -> Int64 {
    var status = statvfs()
    guard statvfs(folder, &status) == 0 else {
      throw FileError("ask for the free space of", folder)
    }
    // Some file systems do not count files.
    if status.f_files > 0, status.f_favail < 16 { return 0 }
    let (bytes, overflow) = Int64(clamping: status.f_bavail).multipliedReportingOverflow(
      by: Int64(clamping: status.f_frsize))
    return overflow ? .max : bytes
  }

  /// Removes a file or a folder with all that is in it; fine where there is none.
  static func removeAll(_ path: String) throws {
    try removeAll(Array(path.utf8), in: AT_FDCWD, shown: path)
  }

  /// Where others may write, they may put a link in a folder's place at any moment; so folders are
  /// gone into by their descriptors, and nothing is removed but what was in them.
  /// - Parameter name: not through String, which cannot hold every name.
  private static func removeAll(_ name: [UInt8], in folder: Int32, shown: String) throws {
    let cName = name.map { CChar(bitPattern: $0) } + [0]
    if unlinkat(folder, cName, 0) == 0 || errno == ENOENT { return }
    // What a folder says to that; POSIX has another word for it than Linux.
    guard errno == EISDIR || errno == EPERM else { throw FileError("remove", shown) }
    let refusal = FileError("remove", shown)
    let opened = openat(folder, cName, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard opened >= 0 else {
      if errno == ENOENT { return }
      throw errno == ENOTDIR || errno == ELOOP ? refusal : FileError("list", shown)
    }
    guard let stream = fdopendir(opened) else {
      close(opened)
      throw FileError("list", shown)
    }
    defer { closedir(stream) }
    for inner in names(of: stream) {
      try removeAll(inner, in: opened, shown: shown + "/" + String(decoding: inner, as: UTF8.self))
    }
    if unlinkat(folder, cName, AT_REMOVEDIR) != 0 && errno != ENOENT {
      throw FileError("remove", shown)
    }
  }

  package static func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, path: String)
    throws
  {
    var written = 0
    while written < bytes.count {
      let count = Glibc.write(descriptor, bytes.baseAddress! + written, bytes.count - written)
      guard count >= 0 else {
        if errno == EINTR { continue }
        throw FileError("write", path)
      }
      written += count
    }
  }
}

import CLinux
import Foundation
import Glibc

/// Whether anybody has a file open for writing: the sign that it is not complete.
enum OpenForWriting {
  case yes, no
  /// Whoever might write it cannot be seen from here: another user's process, another machine's.
  case unknown

  /// - Parameters:
  ///   - descriptor: open for reading only.
  ///   - fileSystem: the one that the file lies on; `nil` asks the system.
  ///   - processes: asked where the file's system does not say.
  static func answer(
    for descriptor: Int32, on fileSystem: FileSystemKind? = nil,
    processes: @autoclosure () -> FilesBeingWritten = .now()
  ) -> OpenForWriting {
    guard (fileSystem ?? FileSystemKind(of: descriptor)).showsEveryWriter else {
      // A lease says nothing here: NFS and SMB refuse it, with the code that elsewhere means a
      // writer, unless the server delegated the file; FUSE grants it whatever others do.
      var raw = stat()
      guard fstat(descriptor, &raw) == 0 else { return .unknown }
      return processes().contains(FileStatus(raw)) ? .yes : .unknown
    }
    // A lease tells at once, for every process on the machine, but only the file's owner and those
    // with CAP_LEASE get one. Should somebody open the file in the moment that it is held, its
    // holder gets a signal: not SIGIO, which would end it.
    _ = fcntl(descriptor, stem_F_SETSIG, SIGURG)
    if fcntl(descriptor, stem_F_SETLEASE, Int32(F_RDLCK)) == 0 {
      _ = fcntl(descriptor, stem_F_SETLEASE, Int32(F_UNLCK))
      return .no
    }
    let reason = errno
    if reason == EAGAIN { return .yes }
    var raw = stat()
    guard fstat(descriptor, &raw) == 0 else { return .unknown }
    let processes = processes()
    if processes.contains(FileStatus(raw)) { return .yes }
    // Where the file system has no leases, other machines may write it.
    return reason == EACCES && processes.areAllKnown ? .no : .unknown
  }
}

/// The files that processes have open for writing, as far as this one may see.
struct FilesBeingWritten {
  /// Whether every process let itself be looked at.
  private(set) var areAllKnown = true
  private var files: Set<[UInt64]> = []

  func contains(_ file: FileStatus) -> Bool { files.contains([file.device, file.inode]) }

  /// Looks through /proc.
  /// - Parameter folder: where that is mounted.
  static func now(in folder: String = "/proc") -> FilesBeingWritten {
    var found = FilesBeingWritten()
    let names = (try? FileSystem.names(in: folder)) ?? []
    let processes = names.filter { $0.allSatisfy { (0x30...0x39).contains($0) } }
    // There is always a first process. Where it does not show, others may be hidden, too: by
    // hidepid=, which a unit's ProtectProc= sets.
    if !processes.contains([0x31]) { found.areAllKnown = false }
    for process in processes {
      found.look(at: folder + "/" + String(decoding: process, as: UTF8.self))
    }
    return found
  }

  private mutating func look(at process: String) {
    let descriptors: [[UInt8]]
    do {
      descriptors = try FileSystem.names(in: process + "/fd")
    } catch {
      // One that ended meanwhile writes nothing.
      let code = (error as? FileError)?.code
      if code != ENOENT && code != ESRCH { areAllKnown = false }
      return
    }
    for descriptor in descriptors.map({ String(decoding: $0, as: UTF8.self) }) {
      var raw = stat()
      guard stat(process + "/fd/" + descriptor, &raw) == 0, FileStatus(raw).isRegular,
        let bytes = try? FileSystem.read(process + "/fdinfo/" + descriptor, limit: 4096),
        let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first(where: {
          $0.hasPrefix("flags:")
        }),
        let flags = Int32(line.dropFirst(6).trimmingCharacters(in: .whitespaces), radix: 8),
        flags & O_ACCMODE != O_RDONLY
      else { continue }
      let file = FileStatus(raw)
      files.insert([file.device, file.inode])
    }
  }
}

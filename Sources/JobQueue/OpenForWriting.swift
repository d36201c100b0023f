import CLinux
import Foundation
import Glibc

/// Whether anybody has a file open for writing: the sign that it is not complete.
enum OpenForWriting {
  /// - Parameter descriptor: open for reading only.
  static func isTrue(of descriptor: Int32) -> Bool {
    // A lease tells at once, for every process on the machine, but only the file's owner and those
    // with CAP_LEASE get one. Should somebody open the file in the moment that it is held, its
    // holder gets a signal: not SIGIO, which would end it.
    _ = fcntl(descriptor, stem_F_SETSIG, SIGURG)
    if fcntl(descriptor, stem_F_SETLEASE, Int32(F_RDLCK)) == 0 {
      _ = fcntl(descriptor, stem_F_SETLEASE, Int32(F_UNLCK))
      return false
    }
    if errno == EAGAIN { return true }
    var raw = stat()
    guard fstat(descriptor, &raw) == 0 else { return false }
    return isTrueAccordingToProc(FileStatus(raw))
  }

  /// Asks every process whose open files this one may see.
  static func isTrueAccordingToProc(_ file: FileStatus) -> Bool {
    guard let processes = try? FileSystem.names(in: "/proc") else { return false }
    for process in processes where process.allSatisfy({ (0x30...0x39).contains($0) }) {
      let folder = "/proc/" + String(decoding: process, as: UTF8.self)
      guard let descriptors = try? FileSystem.names(in: folder + "/fd") else { continue }
      for descriptor in descriptors.map({ String(decoding: $0, as: UTF8.self) }) {
        var raw = stat()
        guard stat(folder + "/fd/" + descriptor, &raw) == 0, FileStatus(raw).isSameFile(as: file)
        else { continue }
        guard let bytes = try? FileSystem.read(folder + "/fdinfo/" + descriptor, limit: 4096),
          let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first(where: {
            $0.hasPrefix("flags:")
          }),
          let flags = Int32(line.dropFirst(6).trimmingCharacters(in: .whitespaces), radix: 8)
        else { continue }
        if flags & O_ACCMODE != O_RDONLY { return true }
      }
    }
    return false
  }
}

import CLinux
import Glibc

/// How much a file system tells the processes of this machine of what others do in it.
struct FileSystemKind: Equatable {
  /// Whether inotify tells of every change, whoever makes it.
  var tellsEveryChange: Bool
  /// Whether everybody who has a file open for writing can be found by leases or in /proc.
  var showsEveryWriter: Bool

  /// Only this machine writes it, and only through this mount.
  static let local = FileSystemKind(tellsEveryChange: true, showsEveryWriter: true)
  /// Its layers may change beneath it, silently. Its writers are those of this mount, as changing
  /// a layer in use is nothing that Linux defines.
  static let layered = FileSystemKind(tellsEveryChange: false, showsEveryWriter: true)
  /// Others may write it who are not seen from here: NFS, SMB, FUSE, 9P, and whatever is not known.
  static let shared = FileSystemKind(tellsEveryChange: false, showsEveryWriter: false)

  /// - Parameter magic: `f_type` of statfs(2).
  init(magic: UInt32) {
    switch magic {
    case 0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010: self = .local  // ext, XFS, Btrfs, F2FS
    case 0x2fc1_2fc1, 0xca45_1a4e, 0x3153_464a, 0x3434: self = .local  // ZFS, bcachefs, JFS, NILFS
    case 0x0102_1994, 0x8584_58f6: self = .local  // tmpfs, ramfs
    case 0x4d44, 0x2011_bab0, 0x7366_746e: self = .local  // FAT, exFAT, NTFS3
    case 0x794c_7630: self = .layered  // overlay
    default: self = .shared
    }
  }

  /// - Parameter descriptor: of any file or folder in it.
  init(of descriptor: Int32) {
    var raw = statfs()
    self =
      fstatfs(descriptor, &raw) == 0
      ? FileSystemKind(magic: UInt32(truncatingIfNeeded: raw.f_type)) : .shared
  }

  private init(tellsEveryChange: Bool, showsEveryWriter: Bool) {
    self.tellsEveryChange = tellsEveryChange
    self.showsEveryWriter = showsEveryWriter
  }
}

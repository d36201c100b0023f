import Foundation

/// Whether a descriptor is the stream that systemd connected to the journal.
enum JournalStream {
  static func leads(from descriptor: Int32) -> Bool {
    matches(ProcessInfo.processInfo.environment["JOURNAL_STREAM"], descriptor: descriptor)
  }

  /// `variable` is `$JOURNAL_STREAM`, `DEVICE:INODE` in decimal. The variable alone proves nothing:
  /// a child whose output was redirected inherits it.
  static func matches(_ variable: String?, descriptor: Int32) -> Bool {
    guard let parts = variable?.split(separator: ":", omittingEmptySubsequences: false),
      parts.count == 2,
      let device = UInt64(parts[0]), let inode = UInt64(parts[1])
    else { return false }
    var information = stat()
    guard fstat(descriptor, &information) == 0 else { return false }
    return UInt64(information.st_dev) == device && UInt64(information.st_ino) == inode
  }
}

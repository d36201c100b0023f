import Foundation

/// Where the frames of clips lie while a command in the foreground is at work.
enum ScratchFolder {
  /// `$TMPDIR`; not /tmp, which is memory on many machines.
  static var path: String { ProcessInfo.processInfo.environment["TMPDIR"] ?? "/var/tmp" }
}

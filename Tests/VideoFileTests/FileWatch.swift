import Foundation

/// Whether a file is opened by anyone, by inotify.
final class FileWatch {
  private let descriptor: Int32

  init(path: String) {
    descriptor = inotify_init1(Int32(IN_NONBLOCK))
    _ = inotify_add_watch(descriptor, path, UInt32(IN_OPEN))
  }

  deinit { close(descriptor) }

  /// Since the watch began or this was asked last.
  var wasOpened: Bool {
    var buffer = [UInt8](repeating: 0, count: 4096)
    return read(descriptor, &buffer, buffer.count) > 0
  }
}

import Foundation
import Glibc

/// One folder's inotify events.
final class FolderWatch {
  struct Event {
    /// Bytes, since a name need not be UTF-8.
    var name: [UInt8]
    var kind: Kind
  }

  enum Kind {
    /// It has its name since now: its writer has just begun, or it is a hard link.
    case created
    /// Closed after writing, or moved in: its writer is through with it.
    case finished
    /// The name is gone.
    case removed
    /// Its attributes changed.
    case changed
  }

  enum Batch {
    case events([Event])
    /// The kernel's queue ran over: the folder must be looked through.
    case overflow
  }

  let descriptor: Int32
  private let path: String

  /// The system has no inotify to give; the folder itself may be in order.
  struct Refused: Error {
    var code: Int32
    /// The setting that may be too low.
    var setting: String

    static func instance(_ code: Int32) -> Refused {
      Refused(code: code, setting: "fs.inotify.max_user_instances")
    }
  }

  /// - Throws: `InboxError` where the folder is missing or may not be read, else `Refused`.
  init(path: String) throws {
    let descriptor = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
    guard descriptor >= 0 else { throw Refused.instance(errno) }
    let mask =
      IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_ATTRIB
      | IN_DELETE_SELF | IN_MOVE_SELF
      | Int32(bitPattern: UInt32(IN_ONLYDIR))
    guard inotify_add_watch(descriptor, path, UInt32(bitPattern: mask)) >= 0 else {
      let code = errno
      close(descriptor)
      if [ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG, EACCES].contains(code) {
        throw InboxError.unwatchable(path, code)
      }
      throw Refused(code: code, setting: "fs.inotify.max_user_watches")
    }
    self.path = path
    // Not before: once all is set, an initializer that throws runs `deinit`, which closes it again.
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// All that is waiting, without blocking.
  /// - Throws: `InboxError` once the folder is gone.
  func read() throws -> Batch {
    var events: [Event] = []
    var overflow = false
    let buffer = UnsafeMutableRawBufferPointer.allocate(
      byteCount: 64 * 1024, alignment: MemoryLayout<inotify_event>.alignment)
    defer { buffer.deallocate() }
    while true {
      let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { break }
      var offset = 0
      while offset < count {
        let event = buffer.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
        let start = offset + MemoryLayout<inotify_event>.size
        offset = start + Int(event.len)
        let mask = event.mask
        if mask & UInt32(IN_Q_OVERFLOW) != 0 { overflow = true }
        if mask & UInt32(IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED) != 0 {
          throw InboxError.gone(path)
        }
        guard event.len > 0 else { continue }
        let name = Array(buffer[start..<offset].prefix { $0 != 0 })
        events.append(Event(name: name, kind: Self.kind(mask)))
      }
    }
    return overflow ? .overflow : .events(events)
  }

  private static func kind(_ mask: UInt32) -> Kind {
    if mask & UInt32(IN_CLOSE_WRITE | IN_MOVED_TO) != 0 { return .finished }
    if mask & UInt32(IN_CREATE) != 0 { return .created }
    return mask & UInt32(IN_DELETE | IN_MOVED_FROM) != 0 ? .removed : .changed
  }
}

/// The inbox cannot be watched; one sentence that says why.
public struct InboxError: Error, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }

  static func unwatchable(_ path: String, _ code: Int32) -> InboxError {
    InboxError("cannot watch \(displayName(path)): \(String(cString: strerror(code)))")
  }

  static func gone(_ path: String) -> InboxError {
    InboxError(
      "the inbox \(displayName(path)) was removed or moved away: make the folder again, and it is taken up by itself"
    )
  }
}

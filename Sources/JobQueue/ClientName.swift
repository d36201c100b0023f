import Foundation
import Glibc

/// How a client is called in jobs: `user:ada`, `key:studio`.
public enum ClientName {
  /// A user of this machine; by number where it has no name.
  public static func user(_ id: uid_t) -> String {
    var entry = passwd()
    var found: UnsafeMutablePointer<passwd>?
    var buffer = [CChar](repeating: 0, count: 16384)
    guard getpwuid_r(id, &entry, &buffer, buffer.count, &found) == 0, found != nil,
      let name = String(validatingCString: entry.pw_name)
    else { return "user:\(id)" }
    return "user:\(name)"
  }

  public static func key(_ name: String) -> String { "key:\(name)" }

  /// Another one than the client of the same name.
  public static func `operator`(_ name: String) -> String { "operator:\(name)" }
}

import CConnectionCeiling
import CLinux
import Foundation
import Glibc

/// How many descriptors connections may take of this process, so that it never runs out of them
/// and keeps some for its own files. Connections beyond that are closed at once.
///
/// libzmq has no such limit, and aborts the process when the descriptors are used up.
public enum ConnectionCeiling {
  /// Most descriptors that `raiseDescriptorLimit` asks for by default.
  public static let mostDescriptors = 65_536

  /// From now on a new connection is refused where `descriptors` or more descriptors of the process
  /// are open, whatever they are. Connections that are open stay.
  /// - Parameter remote: The same for connections from other machines, whose strangers are not to
  ///   keep this machine's programs out; at most `descriptors`.
  public static func set(descriptors: Int, remote: Int? = nil) {
    let descriptors = max(0, descriptors)
    stem_set_connection_ceiling(
      Int32(clamping: descriptors), Int32(clamping: min(descriptors, max(0, remote ?? descriptors)))
    )
  }

  /// How many descriptors are open now.
  public static var descriptorsInUse: Int {
    (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0
  }

  /// Connections refused so far.
  public static var refused: Int { stem_connections_refused() }

  /// Descriptors to keep for the program itself where the process may open `limit`: 64 or an
  /// eighth, whichever is more, but never more than half.
  public static func reserve(of limit: Int) -> Int { min(max(64, limit / 8), limit / 2) }

  /// Raises the number of descriptors that this process may open as far as the system lets it, to
  /// `most` at most; never lowers it. Processes that it starts from then on inherit the limit.
  /// - Returns: The limit that is in force now.
  @discardableResult
  public static func raiseDescriptorLimit(to most: Int = mostDescriptors) throws -> Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(UInt32(stem_RLIMIT_NOFILE)), &limit) == 0 else {
      throw MessagingError(
        "The limit of open files could not be read: \(String(cString: strerror(errno))).")
    }
    let wanted = min(UInt(max(0, most)), UInt(limit.rlim_max))
    guard wanted > UInt(limit.rlim_cur) else { return Int(clamping: limit.rlim_cur) }
    guard stem_set_resource_limit(stem_RLIMIT_NOFILE, wanted, UInt(limit.rlim_max)) == 0 else {
      throw MessagingError(
        "The limit of open files could not be raised to \(wanted): \(String(cString: strerror(errno)))."
      )
    }
    return Int(wanted)
  }
}

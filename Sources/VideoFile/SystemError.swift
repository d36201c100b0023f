import Glibc

/// A system call's refusal.
struct SystemError: Error, CustomStringConvertible {
  /// An `errno`.
  var code: Int32

  var description: String { String(cString: strerror(code)) }
}

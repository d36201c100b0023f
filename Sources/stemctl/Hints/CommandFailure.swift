import Foundation
import Journal

/// Why a command ends without success, as the one sentence that the user gets to see: what is wrong,
/// and what to do.
struct CommandFailure: Error, Equatable, CustomStringConvertible {
  let description: String

  /// - Parameter description: May quote file names and other people's text.
  init(_ description: String) {
    self.description = description.escapingControlCharacters()
  }

  /// A system call that failed.
  /// - Parameters:
  ///   - what: `FILE cannot be read`.
  ///   - code: its `errno`.
  static func system(_ what: String, _ code: Int32 = errno) -> CommandFailure {
    CommandFailure("\(what): \(String(cString: strerror(code))); \(remedy(for: code)).")
  }

  private static func remedy(for code: Int32) -> String {
    switch code {
    case ENOENT, ENOTDIR, EISDIR, ENAMETOOLONG, ELOOP: "see whether the path is right"
    case EACCES, EPERM: "ask its owner for the permission, or do it as somebody who has it"
    case ENOSPC, EDQUOT: "make room there, or choose another place"
    case EROFS: "choose a place that can be written to"
    case EMFILE, ENFILE: "close other programs, or raise the limit of open files (ulimit -n)"
    default: "see what the system says of that disk (dmesg)"
    }
  }

  static let unexpectedAnswer = CommandFailure(
    "stemd gave an answer to another question: see with 'stemctl doctor' whether stemctl and stemd have the same version."
  )
}

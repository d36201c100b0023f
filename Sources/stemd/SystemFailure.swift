import Foundation

/// A system call that failed, in one sentence.
struct SystemFailure: Error, CustomStringConvertible {
  let description: String
  init(_ what: String, code: Int32 = errno) {
    description = "\(what): \(String(cString: strerror(code)))"
  }
}

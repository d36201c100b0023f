import CLibAV
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// What an error code of libav says in words.
func describe(libavError code: Int32) -> String {
  withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
    guard let text = buffer.baseAddress, av_strerror(code, text, buffer.count) == 0 else {
      return "error \(code)"
    }
    return String(cString: text)
  }
}

/// libav's log, which goes nowhere but into error sentences: its error codes say "Invalid data",
/// its log says what is invalid.
enum LibAVLog {
  /// By thread, for libav logs from the thread that calls it (one decoder thread, one encoder
  /// thread).
  private static let lastErrors = Mutex<[pthread_t: String]>([:])

  private static let install: Void = {
    av_log_set_level(AV_LOG_ERROR)
    av_log_set_callback { source, level, format, arguments in
      guard level <= AV_LOG_ERROR else { return }
      withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer in
        // Optional on some processors, on others not.
        guard let line = buffer.baseAddress, let arguments = arguments as CVaListPointer? else {
          return
        }
        var printPrefix: Int32 = 0
        av_log_format_line(
          source, level, format, arguments, line, Int32(buffer.count), &printPrefix)
        let text = String(cString: line).filter { !$0.isNewline }
        guard !text.isEmpty else { return }
        let thread = pthread_self()
        lastErrors.withLock { if $0[thread] != nil { $0[thread] = text } }
      }
    }
  }()

  /// Runs `body` with an ear on what libav says on this thread.
  static func listening<Result>(_ body: () throws -> Result) rethrows -> Result {
    install
    let thread = pthread_self()
    lastErrors.withLock { $0[thread] = "" }
    defer { lastErrors.withLock { _ = $0.removeValue(forKey: thread) } }
    return try body()
  }

  /// The last error libav logged on this thread since `listening` began; `nil` for none.
  static var lastError: String? {
    let thread = pthread_self()
    return lastErrors.withLock { $0[thread] }.flatMap { $0.isEmpty ? nil : $0 }
  }
}

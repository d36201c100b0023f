import Foundation
import Logging

/// Sends everything that the program logs to the journal with structured fields if its standard
/// error goes there, and to standard error as readable text otherwise. Call once, first thing.
/// - Parameter standardError: Where it was moved.
public func bootstrapLogging(
  program: String, level: Logger.Level = .info, standardError: Int32 = STDERR_FILENO
) {
  let text = TerminalLogHandler(program: program, logLevel: level, descriptor: standardError)
  if JournalStream.leads(from: standardError) {
    LoggingSystem.bootstrap { _ in
      JournalLogHandler(program: program, logLevel: level, otherwise: text)
    }
  } else {
    LoggingSystem.bootstrap { _ in text }
  }
}

import Foundation
import Logging

/// Sends everything that the program logs to the journal with structured fields if its standard
/// error goes there, and to standard error as readable text otherwise. Call once, first thing.
public func bootstrapLogging(program: String, level: Logger.Level = .info) {
  if JournalStream.isStandardError {
    LoggingSystem.bootstrap { _ in JournalLogHandler(program: program, logLevel: level) }
  } else {
    LoggingSystem.bootstrap { _ in TerminalLogHandler(program: program, logLevel: level) }
  }
}

import EditSettings
import Messaging

/// What does the work of an assignment: the clip in, the result's files out.
protocol EditPerforming {
  /// Returns when the result's files are complete and synced in the assignment's `resultFolder`.
  /// - Parameters:
  ///   - log: A line for the job's log.
  ///   - progress: To be called at every step. Throws `CancellationError` when the job is
  ///     cancelled; pass it on.
  /// - Throws: `EditFailure`, or any error whose description is a sentence for the person who sent
  ///   the clip.
  func perform(
    _ assignment: Assignment, log: (LogLevel, String) -> Void,
    progress: (EditProgress) throws -> Void
  ) throws -> EditFigures
}

/// Why an edit did not come about.
struct EditFailure: Error, CustomStringConvertible {
  /// One sentence that says what is wrong and what to do.
  var message: String
  /// Whether another attempt may succeed (out of memory, disk full); otherwise the input itself is
  /// at fault.
  var mayPass: Bool

  var description: String { message }
}

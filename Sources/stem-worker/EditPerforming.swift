import EditSettings
import Messaging

/// What does the work of an assignment: the clip in, the result's files out.
protocol EditPerforming {
  /// Returns when the result's files are complete and safe where they belong.
  /// - Parameter reports: What is to be told meanwhile.
  /// - Throws: `EditFailure`, or any error whose description is a sentence for the person who sent
  ///   the clip.
  func perform(_ assignment: Assignment, _ reports: EditReports) throws -> EditFigures
}

/// What an edit tells while it goes on.
struct EditReports {
  /// A line for the job's log.
  var log: (LogLevel, String) -> Void
  /// To be called at every step. Throws `CancellationError` when the job is cancelled; pass it on.
  var progress: (EditProgress) throws -> Void
  /// Whether what the step that ended just now leaves is to be made safe at once: nothing more will be
  /// done.
  var wantsCheckpoint: () -> Bool
  /// What was worked out up to there is safe; the second part are the checkpoint's files, where the
  /// daemon does not see them by itself.
  var checkpointed: (EditProgress, [String]?) -> Void
}

/// Why an edit did not come about.
struct EditFailure: Error, CustomStringConvertible {
  /// One sentence that says what is wrong and what to do.
  var message: String
  /// Whether another attempt may succeed (out of memory, disk full); otherwise the input itself is
  /// at fault.
  var mayPass: Bool
  /// What will pass by itself.
  var reason: FailureReason?

  var description: String { message }
}

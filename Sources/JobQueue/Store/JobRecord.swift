import EditSettings
import Foundation
import GRDB

/// A row of the job store: a `Job`, and what its claim and delivery need to be completed after a
/// crash.
struct JobRecord: Codable, FetchableRecord, PersistableRecord {
  static let databaseTableName = "job"

  /// Recorded, but its files may not all be in its work folder yet. Such a job is not yet accepted,
  /// and shown to nobody.
  static let claiming = "claiming"

  var id: String
  /// The id of the first job that was made of the clip; further edits of the same clip have it too.
  var clip: String
  /// What a later sidecar calls the clip, canonically composed; empty where no sidecar can join it.
  var clipStem: String
  var name: String
  var sourceName: String
  /// The clip's name in the inbox, and the sidecar's.
  var inboxName: String
  var sidecarName: String?
  /// `claiming`, or a `JobState`.
  var state: String
  /// Who submitted it, and that client's own name for it.
  var client: String
  var key: String?
  var priority = 0
  /// `SettingsFields` as JSON.
  var settings: String?
  var attempts = 0
  /// Attempts that ended in a failure that may pass; what the limit of attempts counts.
  var failures = 0
  /// Somebody wants it to end, though a worker still has it.
  var cancelRequested = false
  var submitted: Date
  var started: Date?
  var finished: Date?
  var worker: String?
  var error: String?
  /// How far it was when it failed, for people.
  var stoppedAt: String?
  var isQuarantined = false
  var retryOf: String?
  /// Attempts that were cut off through no fault of the job, since one got further than those before.
  var interruptions = 0
  /// Seconds that workers had it, in attempts that have ended.
  var ranSeconds = 0.0
  var outboxName: String?
  /// JSON.
  var figures: String?
  // `FileStatus.identity`, so that another file that took the name meanwhile is not mistaken for
  // them.
  var clipIdentity: String
  var sidecarIdentity: String?

  /// About how long it is as JSON.
  var textLength: Int {
    512
      + [settings, error, name, sourceName, key, outboxName].reduce(0) {
        $0 + ($1?.utf8.count ?? 0)
      }
  }

  var jobID: JobID { JobID(rawValue: id) }
  var sourceFile: String { Self.fileName("source", extensionOf: sourceName) }
  var editSettings: EditSettings? {
    get { settings.flatMap { SettingsFields(json: $0)?.settings } }
    set { settings = newValue.flatMap { try? SettingsFields($0).json } }
  }
  var sidecarFile: String? { sidecarName.map { Self.fileName("sidecar", extensionOf: $0) } }

  /// `nil` while it is being claimed.
  var job: Job? {
    guard let state = JobState(rawValue: state) else { return nil }
    var job = Job(
      id: jobID, name: name, sourceName: sourceName, state: state, client: client,
      settings: editSettings, submitted: submitted)
    job.key = key
    job.priority = priority
    job.isQuarantined = isQuarantined
    job.retryOf = retryOf.map(JobID.init(rawValue:))
    job.attempts = attempts
    job.started = started
    job.finished = finished
    job.worker = worker
    job.error = error
    job.outboxName = outboxName
    return job
  }

  func isClip(_ status: FileStatus) -> Bool { status.isRegular && status.identity == clipIdentity }
  func isSidecar(_ status: FileStatus) -> Bool {
    status.isRegular && status.identity == sidecarIdentity
  }

  static func fileName(_ role: String, extensionOf name: String) -> String {
    let fileExtension = DroppedName(name).fileExtension
    return fileExtension.isEmpty || fileExtension.utf8.count > 64
      ? role : role + "." + fileExtension
  }
}

extension Date {
  /// To the millisecond, which is what the store keeps.
  var toMilliseconds: Date {
    Date(timeIntervalSince1970: (timeIntervalSince1970 * 1000).rounded() / 1000)
  }
}

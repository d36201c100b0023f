import EditSettings
import JobQueue

/// What an operator may set. `ConfigurationKey` has the names, and what each takes.
public struct Configuration: Equatable, Sendable {
  public static let defaultPath = "/etc/stemd/stemd.yaml"

  public var workers = 1
  /// Of each worker; `nil` for the processors, shared among the workers.
  public var threads: Int?
  /// The models' folder; `nil` for `ModelFolders.defaultPath`.
  public var models: String?
  public var defaultModel = ModelFolders.ownModel
  /// Of jobs that ask for none.
  public var precision = PrecisionSetting.auto
  /// tcp endpoints for clients and for workers on other machines.
  public var listen: String?
  public var listenWorkers: String?
  /// Folders below which a client may name a clip by its path.
  public var submitFolders: [String] = []
  /// Seconds between two checkpoints of a job.
  public var checkpointInterval = 5.0
  /// Bytes of inversions that are kept for other jobs.
  public var cacheBytes = 10 << 30
  /// Seconds between two looks into the inbox; `nil` for what its file system needs.
  public var inboxPoll: Double?
  /// For node_exporter's textfile collector.
  public var metricsFile: String?
  /// Seconds from one writing of the metrics to the next.
  public var metricsInterval = 15.0
  /// How edited videos are coded.
  public var video = VideoCoding()
  public var limits = Limits()

  public struct Limits: Equatable, Sendable {
    public var spool = SpoolLimits()
    /// Of a frame on a socket.
    public var messageBytes = 1 << 20
    public var uploads = 64
    /// `nil`: what the descriptors allow.
    public var connections: Int?
    public var frames = 100_000
    public var framePixels = 64_000_000
    public var workerMemory: Int?
    /// Seconds of a job in all.
    public var runTime: Double?
    /// Seconds without any move of a job's computation.
    public var stallTime = 600.0
  }

  public init() {}

  public var polling: Inbox.Polling { inboxPoll.map { .every(.seconds($0)) } ?? .automatic }
}

import EditSettings
import Foundation
import JobQueue

/// A job as a worker gets it.
public struct Assignment: Sendable, Equatable {
  public var job: JobID
  /// What people call it; `nil` from a daemon of another version.
  public var name: String?
  /// How many times a worker began it, this one included.
  public var attempt: Int
  public var settings: EditSettings
  /// A folder's or file's name among the models.
  public var model: String
  public var limits: ClipLimits
  /// Seconds between checkpoints.
  public var checkpointInterval: Double
  /// How the edited video is coded.
  public var video: VideoCoding
  public var files: Files

  public enum Files: Sendable, Equatable {
    case shared(SharedFiles)
    case remote(RemoteFiles)
  }

  /// Absolute paths on the machine of the daemon and of the worker.
  public struct SharedFiles: Codable, Sendable, Equatable {
    /// The clip, a regular file.
    public var source: String
    /// An existing folder; the worker puts `edited.mp4` there (written aside, synced, renamed).
    public var resultFolder: String
    /// Where the job's checkpoint is, or is to be.
    public var checkpointFolder: String
    /// What is kept for other jobs.
    public var cacheFolder: String
    public var cacheBytes: Int
    public var modelFolder: String
    /// The files of the LoRAs that the settings name, by name.
    public var loras: [String: String]?

    public init(
      source: String, resultFolder: String, checkpointFolder: String, cacheFolder: String,
      cacheBytes: Int, modelFolder: String, loras: [String: String]? = nil
    ) {
      self.source = source
      self.resultFolder = resultFolder
      self.checkpointFolder = checkpointFolder
      self.cacheFolder = cacheFolder
      self.cacheBytes = cacheBytes
      self.modelFolder = modelFolder
      self.loras = loras
    }

    enum CodingKeys: String, CodingKey {
      case source
      case resultFolder = "result_folder"
      case checkpointFolder = "checkpoint_folder"
      case cacheFolder = "cache_folder"
      case cacheBytes = "cache_bytes"
      case modelFolder = "model_folder"
      case loras = "lora_files"
    }
  }

  /// What a worker that does not see the daemon's files fetches.
  public struct RemoteFiles: Codable, Sendable, Equatable {
    public var sourceBytes: Int
    /// The files of the checkpoint, if there is one.
    public var checkpoint: [ResultFile]

    public init(sourceBytes: Int, checkpoint: [ResultFile]) {
      (self.sourceBytes, self.checkpoint) = (sourceBytes, checkpoint)
    }

    enum CodingKeys: String, CodingKey {
      case sourceBytes = "source_bytes"
      case checkpoint
    }
  }

  public init(
    job: JobID, name: String? = nil, attempt: Int, settings: EditSettings, model: String,
    limits: ClipLimits = ClipLimits(), checkpointInterval: Double = 5,
    video: VideoCoding = VideoCoding(), files: Files
  ) {
    (self.job, self.name) = (job, name)
    self.attempt = attempt
    self.settings = settings
    self.model = model
    self.limits = limits
    self.checkpointInterval = checkpointInterval
    self.video = video
    self.files = files
  }
}

extension Assignment: Codable {
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: MessageField.self)
    self.init(
      job: try fields.decode(JobID.self, forKey: .job),
      name: try fields.decodeIfPresent(String.self, forKey: .name),
      attempt: try fields.decode(Int.self, forKey: .attempt),
      settings: try fields.decode(SettingsFields.self, forKey: .settings).settings,
      model: try fields.decode(String.self, forKey: .model),
      limits: try fields.decodeIfPresent(ClipLimits.self, forKey: .limits) ?? ClipLimits(),
      checkpointInterval: try fields.decode(Double.self, forKey: .checkpointInterval),
      video: try fields.decodeIfPresent(VideoCoding.self, forKey: .video) ?? VideoCoding(),
      files: fields.contains(.source)
        ? .shared(try SharedFiles(from: decoder)) : .remote(try RemoteFiles(from: decoder)))
  }

  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: MessageField.self)
    try fields.encode(job, forKey: .job)
    try fields.encodeIfPresent(name, forKey: .name)
    try fields.encode(attempt, forKey: .attempt)
    try fields.encode(SettingsFields(settings), forKey: .settings)
    try fields.encode(model, forKey: .model)
    try fields.encode(limits, forKey: .limits)
    try fields.encode(checkpointInterval, forKey: .checkpointInterval)
    try fields.encode(video, forKey: .video)
    switch files {
    case .shared(let files): try files.encode(to: encoder)
    case .remote(let files): try files.encode(to: encoder)
    }
  }
}

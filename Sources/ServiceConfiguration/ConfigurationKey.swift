import EditSettings
import Yams

/// One setting: its name in files, what it takes, and when a change of it counts.
public struct ConfigurationKey: Sendable {
  public enum Change: Sendable {
    /// At a reload; a job that runs may keep what it began with.
    case atReload
    case atRestart
  }

  /// `workers`, `limits.run_time`.
  public let name: String
  /// Completes the sentence "'workers' takes …".
  public let takes: String
  public let change: Change
  /// What holds where it has no value; `nil` where it always has one.
  public let absent: String?
  /// The value as it stands in a file; `nil` where there is none.
  public let text: @Sendable (Configuration) -> String?
  let isEqual: @Sendable (Configuration, Configuration) -> Bool
  /// - Returns: whether it takes the value.
  let set: @Sendable (Node, inout Configuration) -> Bool
  let copy: @Sendable (_ from: Configuration, _ to: inout Configuration) -> Void
  let node: @Sendable (String) -> Node

  /// The variable of the environment that sets it.
  public var variable: String {
    Self.variablePrefix + name.uppercased().replacing(".", with: "_")
  }
  static let variablePrefix = "STEMD_"

  /// `limits`; `nil` for a key of its own.
  public var group: String? { name.firstIndex(of: ".").map { String(name[..<$0]) } }

  init<Value: Equatable & Sendable>(
    _ name: String, _ path: WritableKeyPath<Configuration, Value> & Sendable,
    _ kind: ValueKind<Value>, _ change: Change = .atReload
  ) {
    self.init(
      name, path, takes: kind.takes, read: kind.read, text: kind.text, node: kind.node,
      absent: nil, change)
  }

  /// - Parameter absent: what holds where it has no value.
  init<Value: Equatable & Sendable>(
    _ name: String, _ path: WritableKeyPath<Configuration, Value?> & Sendable,
    _ kind: ValueKind<Value>, absent: String, _ change: Change = .atReload
  ) {
    self.init(
      name, path, takes: kind.takes, read: { kind.read($0).map(Optional.some) },
      text: { $0.map(kind.text) }, node: kind.node, absent: absent, change)
  }

  private init<Stored: Equatable & Sendable>(
    _ name: String, _ path: WritableKeyPath<Configuration, Stored> & Sendable, takes: String,
    read: @escaping @Sendable (Node) -> Stored?, text: @escaping @Sendable (Stored) -> String?,
    node: @escaping @Sendable (String) -> Node, absent: String?, _ change: Change
  ) {
    (self.name, self.change, self.absent, self.takes) = (name, change, absent, takes)
    self.node = node
    self.text = { text($0[keyPath: path]) }
    isEqual = { $0[keyPath: path] == $1[keyPath: path] }
    set = { node, configuration in
      guard let value = read(node) else { return false }
      configuration[keyPath: path] = value
      return true
    }
    copy = { $1[keyPath: path] = $0[keyPath: path] }
  }
}

extension ConfigurationKey {
  public static let all: [ConfigurationKey] = [
    Self("workers", \.workers, .whole(0...256)),
    Self("threads", \.threads, .whole(1...1024), absent: "the processors, shared by the workers"),
    Self(
      "models", \.models, .folder, absent: "Models near the program, or /usr/share/stemd/models"),
    Self("default_model", \.defaultModel, .name),
    Self("precision", \.precision, .choice),
    Self("checkpoint_interval", \.checkpointInterval, .seconds(0...86_400)),
    Self("cache_bytes", \.cacheBytes, .bytes()),
    Self("inbox_poll", \.inboxPoll, .seconds(0.1...86_400), absent: "what its file system needs"),
    Self("submit_folders", \.submitFolders, .folders),
    Self("listen", \.listen, .endpoint, absent: "none", .atRestart),
    Self("listen_workers", \.listenWorkers, .endpoint, absent: "none", .atRestart),
    Self("metrics_file", \.metricsFile, .metricsFile, absent: "none"),
    Self("metrics_interval", \.metricsInterval, .seconds(1...3600)),
    Self("limits.queue_length", \.limits.spool.queueLength, .whole(1...10_000_000)),
    Self("limits.job_bytes", \.limits.spool.jobBytes, .bytes),
    Self("limits.spool_reserve", \.limits.spool.spoolReserve, .bytes),
    // The parts in which files go over the sockets take less.
    Self("limits.message_bytes", \.limits.messageBytes, .bytes(1 << 20...64 << 20), .atRestart),
    Self("limits.uploads", \.limits.uploads, .whole(1...10_000)),
    Self(
      "limits.connections", \.limits.connections, .whole(1...1_000_000),
      absent: "what the descriptors allow"),
    Self("limits.frames", \.limits.frames, .whole(1...100_000)),
    Self("limits.frame_pixels", \.limits.framePixels, .whole(1...64_000_000)),
    Self(
      "limits.worker_memory", \.limits.workerMemory, .bytes(), absent: "what the machine has"),
    Self("limits.run_time", \.limits.runTime, .seconds(1...1e9), absent: "none"),
    Self("limits.stall_time", \.limits.stallTime, .seconds(1...86_400)),
    Self("video.codec", \.video.codec, .choice),
    Self(
      "video.quality", \.video.quality,
      .whole(VideoCoding.qualities, "; of h264 and hevc to 51"),
      absent: "what is hard to tell from the edit"),
  ]

  public static func named(_ name: String) -> ConfigurationKey? { byName[name] }

  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
  static let groups = Set(all.compactMap(\.group))
}

import JobQueue
import Yams

/// The values in force, and where each comes from.
public struct ResolvedConfiguration: Equatable, Sendable {
  public private(set) var values = Configuration()
  private var origins: [String: ConfigurationOrigin] = [:]
  /// What does not stop the start, in sentences.
  public internal(set) var warnings: [String] = []
  /// The files that were read, in their order.
  public internal(set) var files: [String] = []

  public init() {}

  public func origin(of key: ConfigurationKey) -> ConfigurationOrigin {
    origins[key.name] ?? .standard
  }

  mutating func set(_ key: ConfigurationKey, to node: Node, from origin: ConfigurationOrigin) throws
  {
    // A key without a value means its default, whatever an earlier file says.
    if node.null != nil {
      key.copy(Configuration(), &values)
    } else if !key.set(node, &values) {
      let given =
        node.string.map { "'\(displayName(String($0.prefix(60))))'" }
        ?? (node.sequence == nil ? "keys with values" : "a list")
      throw ConfigurationError("\(origin): '\(key.name)' takes \(key.takes), not \(given)")
    }
    origins[key.name] = origin
  }

  /// - Throws: `ConfigurationError` where codec and quality do not fit each other.
  func checkVideo() throws {
    guard let refusal = values.video.refusal,
      let key = ConfigurationKey.named("video.quality")
    else { return }
    throw ConfigurationError(
      "\(origin(of: key)): 'video.quality' does not fit 'video.codec': \(refusal)")
  }

  /// Takes a key's value and its origin from another configuration.
  mutating func adopt(_ key: ConfigurationKey, from other: ResolvedConfiguration) {
    key.copy(other.values, &values)
    origins[key.name] = other.origins[key.name]
  }
}

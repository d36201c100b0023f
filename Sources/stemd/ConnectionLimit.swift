import Messaging

/// How many of the process's descriptors connections may take.
///
/// libzmq ends the process when descriptors run out.
struct ConnectionLimit {
  /// Descriptors that may be open in all.
  private let most: Int
  /// Those that the daemon opened for itself.
  private let own: Int

  /// Raises the process's limit; to be made before anything else is opened.
  static func raised() throws -> Int {
    let descriptors = try ConnectionCeiling.raiseDescriptorLimit()
    return descriptors - ConnectionCeiling.reserve(of: descriptors)
  }

  /// To be made when the daemon has opened its own.
  /// - Parameter most: What `raised` gave.
  init(most: Int) { (self.most, own) = (most, ConnectionCeiling.descriptorsInUse) }

  /// - Parameter connections: `nil` for what the descriptors allow.
  func set(_ connections: Int?) {
    let ceiling = min(most, connections.map { own + $0 } ?? most)
    // A quarter is for this machine's own programs, whoever comes over the network.
    ConnectionCeiling.set(descriptors: ceiling, remote: ceiling - (ceiling - own) / 4)
  }
}

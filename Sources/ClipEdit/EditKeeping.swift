/// What an edit keeps on disk, and where: checkpoints to go on from after an interruption, and
/// inversions that serve later edits of the same clip.
public struct EditKeeping: Sendable {
  /// The folder of this edit's checkpoint, made where it is missing; `nil` for none. It belongs to
  /// the edit alone: immutable parts, and `manifest.json`, which names those that count.
  public var checkpointFolder: String?
  /// Seconds from one checkpoint to the next, at least; they come at the ends of steps.
  public var interval: Double
  /// The folder below which inversions are kept, made where it is missing; `nil` for none. Any
  /// number of processes may share it.
  public var cacheFolder: String?
  /// Bytes that the inversions may take; the ones that were not used for longest go first.
  public var cacheBytes: Int

  public init(
    checkpointFolder: String? = nil, interval: Double = 5, cacheFolder: String? = nil,
    cacheBytes: Int = 10 << 30
  ) {
    self.checkpointFolder = checkpointFolder
    self.interval = interval
    self.cacheFolder = cacheFolder
    self.cacheBytes = cacheBytes
  }

  var isNothing: Bool { checkpointFolder == nil && cacheFolder == nil }
}

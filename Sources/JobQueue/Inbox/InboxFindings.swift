/// A clip with its sidecars, all completely written. Names are those in the inbox.
public struct ReadyClip: Sendable, Equatable {
  public var clip: String
  /// The unnumbered one first, then by number.
  public var sidecars: [String]

  public init(clip: String, sidecars: [String]) {
    self.clip = clip
    self.sidecars = sidecars
  }
}

/// Something in the inbox that a person should know of; said once until it changes.
public struct InboxNotice: Sendable, Equatable {
  public enum Kind: Sendable, Equatable {
    /// No partner for a minute.
    case lone
    /// Which sidecar belongs to which clip cannot be told.
    case ambiguous
    /// A folder, FIFO, socket, device or symbolic link.
    case notAFile
    /// The daemon may not read it.
    case unreadable
    /// Its name is not UTF-8.
    case badName
    /// About the folder itself: how it is watched, or that it cannot be listed.
    case folder
    /// The number of notices that were left out.
    case leftOut
  }

  public var kind: Kind
  /// The file's name, or the folder's path, escaped for display.
  public var name: String
  /// One sentence, without control characters.
  public var message: String
}

/// What a look at the inbox brought.
public struct InboxFindings: Sendable, Equatable {
  /// Clips to claim with their sidecars.
  public var ready: [ReadyClip] = []
  /// Complete sidecars without a clip in the inbox; they may belong to one that was claimed before.
  public var lateSidecars: [String] = []
  /// Sidecars that have waited for a clip for a minute.
  public var loneSidecars: [String] = []
  public var notices: [InboxNotice] = []

  public init() {}
}

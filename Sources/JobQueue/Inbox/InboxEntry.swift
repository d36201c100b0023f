/// What is known of one regular file in the inbox.
struct InboxEntry {
  enum Phase: Equatable {
    /// Its writer closed it or moved it in; it is complete unless somebody else still writes.
    case closed
    /// No such sign (found at start-up, a hard link, a network file system): complete once it
    /// rested since then and nobody writes.
    case settling(since: ContinuousClock.Instant)
    case complete(since: ContinuousClock.Instant)
    case unreadable
  }

  var dropped: DroppedName
  var status: FileStatus
  var phase: Phase
  /// When to look at it again without an event.
  var deadline: ContinuousClock.Instant?
  /// Its creation was seen, and its writer's close was not yet: there will be one.
  var awaitsClose = false
  /// It came or changed without an event, and none came since: whoever writes it does so where this
  /// machine's kernel does not see it.
  var changedUnseen = false
  var reportedLone = false
  var reportedUnreadable = false
  /// Found ready and handed out; not again before it changes or its claim failed.
  var offered = false

  var isComplete: Bool { if case .complete = phase { true } else { false } }
}

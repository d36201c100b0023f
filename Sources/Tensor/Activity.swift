import Synchronization

/// Whether the process's computation moves on, for whoever watches over it from another thread: a
/// number that grows with every operation, many times a second. One that stays for minutes says
/// that a thread waits for what never comes.
public enum Activity {
  private static let counter = Atomic(0)

  /// To be called by whoever is at work without tensors, or waits for somebody who is.
  public static func note() { counter.wrappingAdd(1, ordering: .relaxed) }

  public static var count: Int { counter.load(ordering: .relaxed) }
}

import Synchronization

/// Whether one job's computation is to end early; set once, from any thread.
public final class Cancellation: Sendable {
  private let flag = Atomic<Bool>(false)

  public init() {}

  public var isCancelled: Bool { flag.load(ordering: .acquiring) }

  public func cancel() { flag.store(true, ordering: .releasing) }

  /// Throws `CancellationError` once the job is cancelled.
  public func check() throws {
    if isCancelled { throw CancellationError() }
  }
}

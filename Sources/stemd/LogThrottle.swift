import Journal
import Logging

/// Lets a stranger's nonsense into the log, but not fill it: ten lines in ten seconds, then their
/// number.
struct LogThrottle {
  private static let most = 10
  private static let period = Duration.seconds(10)

  private var begin = ContinuousClock.now
  private var count = 0

  mutating func log(
    _ event: JournalEvent, _ message: @autoclosure () -> String, to logger: Logger,
    metadata: Logger.Metadata = [:], now: ContinuousClock.Instant
  ) {
    if now - begin > Self.period {
      if count > Self.most {
        logger.log(event, "\(count - Self.most) further messages of this kind were not logged")
      }
      begin = now
      count = 0
    }
    count += 1
    if count <= Self.most { logger.log(event, "\(message())", metadata: metadata) }
  }
}

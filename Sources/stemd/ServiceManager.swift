import CSystemd
import Foundation

/// What systemd is told, where the daemon runs under it; otherwise nothing happens.
struct ServiceManager {
  private let watchdogInterval: Duration?
  private var lastSign = ContinuousClock.now
  private var lastStatus = ""

  init() {
    var microseconds: UInt64 = 0
    watchdogInterval =
      sd_watchdog_enabled(0, &microseconds) > 0 ? .microseconds(Int64(microseconds / 3)) : nil
  }

  /// When the next sign of life is due.
  var nextSign: ContinuousClock.Instant? { watchdogInterval.map { lastSign + $0 } }

  func tell(_ state: String) { sd_notify(0, state) }

  /// To be called from the event loop only: a loop that hangs is to be noticed.
  mutating func signOfLife(now: ContinuousClock.Instant) {
    guard let nextSign, now >= nextSign else { return }
    lastSign = now
    sd_notify(0, "WATCHDOG=1")
  }

  /// One line, for `systemctl status`.
  mutating func show(_ status: String) {
    guard status != lastStatus else { return }
    lastStatus = status
    sd_notify(0, "STATUS=\(status)")
  }
}

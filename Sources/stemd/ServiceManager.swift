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

  /// Everything is open; or a reload is done, well or not.
  func ready() { tell("READY=1") }

  /// Until `ready`, the settings are being read.
  func beginReload() {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    // The time tells the service manager that it is this reload's and no earlier one's.
    tell("RELOADING=1\nMONOTONIC_USEC=\(time.tv_sec * 1_000_000 + time.tv_nsec / 1000)")
  }

  /// Asks for as much patience again: what ends is not to be killed while it gets on.
  func extendTimeout() { tell("EXTEND_TIMEOUT_USEC=30000000") }

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

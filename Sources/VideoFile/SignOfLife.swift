/// Tells whoever waits that work goes on, though nothing comes of it for long: frames before a start,
/// or the sound of hours.
final class SignOfLife {
  private let give: () -> Void
  private var last = ContinuousClock.now

  /// - Parameter give: called every few seconds, while work goes on.
  init(_ give: @escaping () -> Void = {}) { self.give = give }

  func workGoesOn() {
    let now = ContinuousClock.now
    guard now - last > .seconds(5) else { return }
    last = now
    give()
  }
}

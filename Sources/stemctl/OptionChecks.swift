import ArgumentParser
import EditSettings

/// What the values of options are that several commands have.
enum OptionChecks {
  /// - Parameter value: nothing is wrong with none.
  /// - Throws: `ValidationError`, as all of these do.
  static func whole(_ name: String, _ value: Int?, in range: ClosedRange<Int>) throws {
    guard let value, !range.contains(value) else { return }
    let upTo = range.upperBound == .max ? "on" : "to \(range.upperBound)"
    throw ValidationError(
      "\(name) takes a whole number from \(range.lowerBound) \(upTo), not \(value).")
  }

  static func threads(_ threads: Int?) throws { try whole("--threads", threads, in: 1...1024) }

  static func steps(_ steps: Int, in range: ClosedRange<Int> = 1...1000) throws {
    try whole("--steps", steps, in: range)
  }

  static func guidance(_ guidance: Double) throws {
    guard (0...100).contains(guidance) else {
      throw ValidationError("--guidance takes a number from 0 to 100, not \(guidance).")
    }
  }

  static func start(_ start: Double) throws {
    guard (0...1_000_000).contains(start) else {
      throw ValidationError("--start takes a number of seconds from 0 to 1000000, not \(start).")
    }
  }

  static func size(_ size: WorkingSize?) throws {
    guard let size, !size.isPossible else { return }
    throw ValidationError("--size takes \(WorkingSize.takes), not \(size).")
  }
}

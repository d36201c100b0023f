import ArgumentParser

/// When to use colours. This is the one place that decides it.
enum ColorChoice: String, CaseIterable, ExpressibleByArgument {
  case auto, always, never

  /// - Parameter isTerminal: whether a person reads it.
  func uses(isTerminal: Bool, environment: [String: String]) -> Bool {
    switch self {
    case .always: true
    case .never: false
    // https://no-color.org: any value but an empty one.
    case .auto:
      isTerminal && !Terminal.isDumb(environment) && (environment["NO_COLOR"] ?? "").isEmpty
    }
  }
}

/// How a command writes to a terminal.
struct TerminalOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Whether to use colours: auto does on a terminal, unless NO_COLOR is set.",
      valueName: "when"))
  var color = ColorChoice.auto

  func terminal(_ descriptor: Int32) -> Terminal { Terminal(descriptor, color: color) }
}

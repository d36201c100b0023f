/// Numbers in Prometheus' text format, version 0.0.4.
struct PrometheusText {
  enum Kind: String {
    /// Grows, and begins at 0 when stemd does.
    case counter
    /// Goes up and down.
    case gauge
  }

  private(set) var text = ""

  /// One metric, with one sample for each value of a label.
  mutating func add(
    _ name: String, _ kind: Kind, _ help: String, by label: String,
    _ samples: [(value: String, number: Double)]
  ) {
    begin(name, kind, help)
    for sample in samples {
      text += "\(name){\(label)=\"\(Self.escaped(sample.value))\"} \(Self.text(sample.number))\n"
    }
  }

  mutating func add(_ name: String, _ kind: Kind, _ help: String, _ number: Double) {
    begin(name, kind, help)
    text += "\(name) \(Self.text(number))\n"
  }

  private mutating func begin(_ name: String, _ kind: Kind, _ help: String) {
    text += "# HELP \(name) \(Self.escaped(help, withQuotes: false))\n# TYPE \(name) \(kind)\n"
  }

  private static func text(_ number: Double) -> String {
    number.magnitude < 0x1p53 && number == number.rounded() ? "\(Int(number))" : "\(number)"
  }

  private static func escaped(_ text: String, withQuotes: Bool = true) -> String {
    let text = text.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
    return withQuotes ? text.replacing("\"", with: "\\\"") : text
  }
}

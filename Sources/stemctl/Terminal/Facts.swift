/// What is known of one thing: a name and a value each, the values under one another.
struct Facts {
  var rows: [(name: String, value: StyledText)] = []

  mutating func add(_ name: String, _ value: StyledText?) {
    if let value { rows.append((name, value)) }
  }

  mutating func add(_ name: String, _ value: String?) { add(name, value.map { StyledText($0) }) }

  /// - Parameter room: columns of the terminal, in which values that are longer are broken; `nil` for
  ///   as many as it takes.
  func lines(in room: Int?) -> [StyledText] {
    let indent = (rows.map(\.name.displayWidth).max() ?? 0) + 2
    return rows.flatMap { name, value in
      // Where next to nothing is left beside the names, the terminal may break the lines.
      let parts = room.map { value.wrapped(to: $0 - indent >= 16 ? $0 - indent : .max) } ?? [value]
      return parts.enumerated().map { index, part in
        StyledText(index == 0 ? name : "", .strong).padded(to: indent) + part
      }
    }
  }
}

@testable import stemctl

/// What a terminal shows of what is written to it, as far as stemctl's sequences go; another one is
/// written down in `unknown`.
struct Screen {
  private(set) var lines: [String]
  private let columns: Int
  private let rows: Int
  private var row = 0
  private var column = 0
  /// The main screen, while the alternate one is shown.
  private var main: (lines: [String], row: Int, column: Int)?
  private(set) var isCursorHidden = false
  /// How many times a line was too long for the screen.
  private(set) var wraps = 0
  private(set) var unknown: [String] = []
  private var sequence: String?

  init(columns: Int, rows: Int) {
    (self.columns, self.rows) = (columns, rows)
    lines = Array(repeating: "", count: rows)
  }

  var isAlternate: Bool { main != nil }
  var text: String { lines.joined(separator: "\n") }
  func contains(_ text: String) -> Bool { lines.contains { $0.contains(text) } }

  mutating func take(_ text: String) {
    // A carriage return and a line feed are one Character.
    for scalars in text.map({ Array($0.unicodeScalars) }) {
      if sequence == nil, scalars.count > 1, scalars[0].value >= 0x20 {
        put(Character(String(String.UnicodeScalarView(scalars))))
      } else {
        for scalar in scalars { take(Character(scalar)) }
      }
    }
  }

  private mutating func take(_ character: Character) {
    if let started = sequence {
      let whole = started + String(character)
      sequence = whole
      let isEnd = character.isLetter || !whole.hasPrefix("[")
      if isEnd {
        sequence = nil
        obey(whole)
      }
      return
    }
    switch character {
    case "\u{1B}": sequence = ""
    case "\r": column = 0
    case "\n": lineFeed()
    default: put(character)
    }
  }

  private mutating func put(_ character: Character) {
    let width = character.displayWidth
    if column + width > columns {
      wraps += 1
      column = 0
      lineFeed()
    }
    // Columns are as good as letters here: what is overwritten is erased first.
    let kept = String(lines[row].prefix { _ in true })
    lines[row] = Self.prefix(kept, columns: column) + String(character)
    column += width
  }

  private mutating func lineFeed() {
    if row + 1 < rows {
      row += 1
    } else {
      lines.removeFirst()
      lines.append("")
    }
  }

  private mutating func obey(_ sequence: String) {
    let number = Int(sequence.dropFirst().dropLast()) ?? 1
    switch sequence {
    case "[H": (row, column) = (0, 0)
    case "[K": lines[row] = Self.prefix(lines[row], columns: column)
    case "[J":
      lines[row] = Self.prefix(lines[row], columns: column)
      for below in lines.indices.dropFirst(row + 1) { lines[below] = "" }
    case "[?1049h":
      main = (lines, row, column)
      lines = Array(repeating: "", count: rows)
    case "[?1049l":
      if let main { (lines, row, column) = main }
      main = nil
    case "[?25l": isCursorHidden = true
    case "[?25h": isCursorHidden = false
    case _ where sequence.hasSuffix("A"): row = max(0, row - number)
    case _ where sequence.hasSuffix("m"): break
    default: unknown.append(sequence)
    }
  }

  private static func prefix(_ text: String, columns: Int) -> String {
    var used = 0
    let kept = text.prefix {
      used += $0.displayWidth
      return used <= columns
    }
    let width = kept.displayWidth
    return kept + String(repeating: " ", count: max(0, columns - width))
  }
}

import Journal

/// One line of text whose pieces have styles. It may quote anything: control characters are escaped
/// as it is made.
struct StyledText: Sendable, Equatable, ExpressibleByStringInterpolation {
  struct Piece: Sendable, Equatable {
    var text: String
    var style: Style
  }

  private(set) var pieces: [Piece]

  init(_ text: some StringProtocol, _ style: Style = .plain) {
    let text = String(text).escapingControlCharacters()
    pieces = text.isEmpty ? [] : [Piece(text: text, style: style)]
  }

  init(stringLiteral value: String) { self.init(value) }

  private init(pieces: [Piece]) { self.pieces = pieces }

  /// Without its styles.
  var text: String { pieces.map(\.text).joined() }
  /// In a terminal's columns.
  var width: Int { pieces.reduce(0) { $0 + $1.text.displayWidth } }
  var isEmpty: Bool { pieces.isEmpty }

  static func + (left: StyledText, right: StyledText) -> StyledText {
    StyledText(pieces: left.pieces + right.pieces)
  }

  static func += (left: inout StyledText, right: StyledText) { left = left + right }

  /// The beginning that has room in so many columns; `…` stands for what is cut off.
  func cut(to columns: Int) -> StyledText {
    guard width > columns else { return self }
    guard columns > 0 else { return "" }
    var left = columns - 1
    var cut: [Piece] = []
    for piece in pieces {
      let fitting = piece.text.prefix { character in
        left -= character.displayWidth
        return left >= 0
      }
      cut.append(Piece(text: String(fitting), style: piece.style))
      if fitting.count < piece.text.count {
        cut[cut.count - 1].text += "…"
        break
      }
      // Just full, and more is to come.
      if left == 0 {
        cut[cut.count - 1].text += "…"
        break
      }
    }
    return StyledText(pieces: cut)
  }

  func padded(to columns: Int, onTheLeft: Bool = false) -> StyledText {
    let missing = columns - width
    guard missing > 0 else { return self }
    let padding = StyledText(String(repeating: " ", count: missing))
    return onTheLeft ? padding + self : self + padding
  }

  /// On as many lines as it takes, broken at spaces where there are some.
  func wrapped(to columns: Int) -> [StyledText] {
    guard width > columns, columns > 0 else { return [self] }
    typealias Cell = (character: Character, style: Style)
    let cells: [Cell] = pieces.flatMap { piece in piece.text.map { ($0, piece.style) } }
    var lines: [ArraySlice<Cell>] = []
    var rest = cells[...]
    while !rest.isEmpty {
      var end = rest.startIndex
      var used = 0
      while end < rest.endIndex, used + rest[end].character.displayWidth <= columns {
        used += rest[end].character.displayWidth
        end += 1
      }
      // A character that is wider than the whole line.
      if end == rest.startIndex { end += 1 }
      if end < rest.endIndex,
        let space = rest[..<min(end + 1, rest.endIndex)].lastIndex(where: { $0.character == " " }),
        space > rest.startIndex
      {
        end = space
      }
      lines.append(rest[..<end])
      rest = rest[end...].drop { $0.character == " " }
    }
    return lines.map { line in
      line.reduce(into: StyledText(pieces: [])) { text, cell in
        if text.pieces.last?.style == cell.style {
          text.pieces[text.pieces.count - 1].text.append(cell.character)
        } else {
          text.pieces.append(Piece(text: String(cell.character), style: cell.style))
        }
      }
    }
  }

  /// As it is written.
  func rendered(colors: Bool) -> String {
    pieces.map { piece in
      guard colors, let codes = piece.style.codes else { return piece.text }
      return "\u{1B}[\(codes)m\(piece.text)\u{1B}[0m"
    }.joined()
  }
}

extension [StyledText] {
  func joined(separator: StyledText) -> StyledText {
    guard var text = first else { return "" }
    for next in dropFirst() { text += separator + next }
    return text
  }
}

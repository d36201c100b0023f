/// Aligned columns under headings, in whatever room there is.
struct Table {
  struct Column {
    var title: String
    /// Numbers stand under one another at their right ends.
    var isNumber = false
    /// The fewest columns of the terminal that it may be cut to; `nil` where it must stay whole.
    var least: Int?
    /// Where there is not even room for what is least, the columns with the greatest of these
    /// numbers are left out first; those with 0 never are.
    var dispensable = 0

    init(_ title: String, isNumber: Bool = false, least: Int? = nil, dispensable: Int = 0) {
      (self.title, self.isNumber, self.least) = (title, isNumber, least)
      self.dispensable = dispensable
    }
  }

  private static let gap = 2

  var columns: [Column]
  /// As many cells in each as there are columns.
  var rows: [[StyledText]]

  /// - Parameter room: columns of the terminal; `nil` for as many as it takes.
  func lines(in room: Int?) -> [StyledText] {
    let widths = widths(in: room)
    let titles = columns.map { StyledText($0.title, .strong) }
    return ([titles] + rows).map { cells in
      let shown = widths.keys.sorted()
      // No spaces at a line's end.
      let last = shown.last { !cells[$0].isEmpty }
      let line = shown.prefix { $0 <= last ?? -1 }.map { index in
        let width = widths[index] ?? 0
        let cell = cells[index].cut(to: width)
        return index == last && !columns[index].isNumber
          ? cell : cell.padded(to: width, onTheLeft: columns[index].isNumber)
      }.joined(separator: StyledText(String(repeating: " ", count: Self.gap)))
      return room.map { line.cut(to: $0) } ?? line
    }
  }

  /// The width of each column that is shown.
  private func widths(in room: Int?) -> [Int: Int] {
    var widths = Dictionary(
      uniqueKeysWithValues: columns.indices.map { index in
        let cells = rows.map { $0[index].width }
        return (index, max(columns[index].title.displayWidth, cells.max() ?? 0))
      })
    guard let room else { return widths }
    func total(_ width: (Int, Int) -> Int) -> Int {
      widths.reduce(0) { $0 + width($1.key, $1.value) } + Self.gap * (widths.count - 1)
    }
    func least(_ index: Int, _ width: Int) -> Int { min(width, columns[index].least ?? width) }
    while total(least) > room,
      let index = widths.keys.max(by: { columns[$0].dispensable < columns[$1].dispensable }),
      columns[index].dispensable > 0
    {
      widths[index] = nil
    }
    var excess = total { $1 } - room
    while excess > 0,
      let widest = widths.filter({ $0.value > least($0.key, $0.value) })
        .max(by: { ($0.value, $0.key) < ($1.value, $1.key) })
    {
      widths[widest.key] = widest.value - 1
      excess -= 1
    }
    return widths
  }
}

import Foundation

/// Lines over an axis, as an SVG drawing that takes its colours from the page.
struct LineChart {
  struct Series {
    var name: String
    /// Increasing.
    var positions: [Int]
    var values: [Double]
  }

  var title: String
  /// What the positions are.
  var axis: String
  var series: [Series]

  private static let (width, height) = (480.0, 260.0)
  private static let (right, top, bottom) = (12.0, 10.0, 40.0)
  /// What a character of the axes takes at the most, on narrow screens, where they are larger.
  private static let characterWidth = 10.0
  /// More classes of lines the page does not have.
  static let mostSeries = 5

  var svg: String {
    let points = series.flatMap { zip($0.positions, $0.values) }.filter { $0.1.isFinite }
    let (first, last) = (points.map(\.0).min() ?? 0, points.map(\.0).max() ?? 1)
    let scale = Scale(points.map(\.1))
    let longest = scale.ticks.map { scale.text($0).count }.max() ?? 0
    let left = 12 + Double(max(4, longest)) * Self.characterWidth
    func x(_ position: Int) -> Double {
      let share = last == first ? 0.5 : Double(position - first) / Double(last - first)
      return left + share * (Self.width - left - Self.right)
    }
    func y(_ value: Double) -> Double {
      Self.top + (1 - scale.share(of: value)) * (Self.height - Self.top - Self.bottom)
    }

    var drawing = """
      <svg viewBox="0 0 \(text(Self.width)) \(text(Self.height))" role="img" aria-label="\(escaped(description))">

      """
    for tick in scale.ticks {
      drawing += """
        <line class="grid" x1="\(text(left))" x2="\(text(Self.width - Self.right))" y1="\(text(y(tick)))" y2="\(text(y(tick)))"/>
        <text x="\(text(left - 6))" y="\(text(y(tick) + 4))" text-anchor="end">\(scale.text(tick))</text>

        """
    }
    for position in Self.positions(from: first, to: last) {
      drawing += """
        <text x="\(text(x(position)))" y="\(text(Self.height - Self.bottom + 18))" text-anchor="middle">\(position)</text>

        """
    }
    drawing += """
      <text x="\(text((left + Self.width - Self.right) / 2))" y="\(text(Self.height - 4))" text-anchor="middle">\(escaped(axis))</text>

      """
    for (index, line) in series.prefix(Self.mostSeries).enumerated() {
      let path = zip(line.positions, line.values).filter { $0.1.isFinite }.map {
        "\(text(x($0.0))),\(text(y($0.1)))"
      }
      if path.count == 1 {
        let parts = path[0].split(separator: ",")
        drawing +=
          "<circle class=\"series-\(index)\" cx=\"\(parts[0])\" cy=\"\(parts[1])\" r=\"4\"/>\n"
      } else {
        drawing +=
          "<polyline class=\"series-\(index)\" points=\"\(path.joined(separator: " "))\"/>\n"
      }
    }
    return drawing + "</svg>"
  }

  /// In words: the range of each line.
  private var description: String {
    let lines = series.map { line in
      let values = line.values.filter(\.isFinite)
      guard let low = values.min(), let high = values.max() else { return "\(line.name): nothing" }
      return "\(line.name) between \(decimal(low, digits: 3)) and \(decimal(high, digits: 3))"
    }
    return "\(title), by \(axis). \(lines.joined(separator: "; "))."
  }

  /// At most six whole numbers, of equal distance.
  static func positions(from first: Int, to last: Int) -> [Int] {
    guard last > first else { return [first] }
    let step = max(1, Int(Scale.step(for: Double(last - first), parts: 5)))
    let start = (first + step - 1) / step * step
    return Array(stride(from: start, through: last, by: step))
  }

  private func text(_ number: Double) -> String {
    let rounded = (number * 10).rounded() / 10
    return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
  }

  private func escaped(_ text: String) -> String {
    text.reduce(into: "") { result, character in
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.append(character)
      }
    }
  }
}

/// The vertical axis: a range that holds all values, between tidy numbers.
struct Scale {
  let ticks: [Double]
  private let digits: Int

  init(_ values: [Double]) {
    let (low, high) = (values.min() ?? 0, values.max() ?? 1)
    // What differs by less than half a percent shows as the level line that it is.
    let span = max(high - low, max(abs(low), abs(high)) * 0.005)
    let step = Self.step(for: span > 0 ? span : 1e-3, parts: 4)
    let first = (low / step - 1e-9).rounded(.down)
    let last = max(first + 1, (high / step + 1e-9).rounded(.up))
    ticks = stride(from: first, through: last, by: 1).map { $0 * step }
    digits = max(0, Int((-log10(step) - 1e-9).rounded(.up)))
  }

  /// 0 at the lowest tick, 1 at the highest.
  func share(of value: Double) -> Double {
    (value - ticks[0]) / (ticks[ticks.count - 1] - ticks[0])
  }

  func text(_ tick: Double) -> String { decimal(tick, digits: digits) }

  /// 1, 2 or 5 times a power of ten, so that about `parts` of it make up `span`.
  static func step(for span: Double, parts: Double) -> Double {
    let raw = span / parts
    let power = pow(10, log10(raw).rounded(.down))
    return ([1, 2, 5, 10].first { $0 * power >= raw * 0.999_999 } ?? 10) * power
  }
}

import Testing

@testable import EditReport

@Suite("Line chart") struct LineChartTests {
  @Test(
    "the axis holds all values between tidy numbers",
    arguments: [
      [0.0, 1], [29.31, 31.7], [-3, 12], [5, 5], [0, 0], [1e-6, 2e-6], [12345, 99999],
    ])
  func scale(_ values: [Double]) {
    let scale = Scale(values)
    #expect((2...9).contains(scale.ticks.count), "\(scale.ticks)")
    for value in values { #expect((0...1).contains(scale.share(of: value)), "\(value)") }
    #expect(Set(scale.ticks.map(scale.text)).count == scale.ticks.count)
  }

  @Test("what hardly differs is a level line, not noise on a scale of its own") func level() {
    let scale = Scale([0.999_94, 0.999_97])
    #expect(scale.ticks[scale.ticks.count - 1] - scale.ticks[0] >= 0.001_9)
    #expect(scale.ticks.map(scale.text).allSatisfy { $0.count <= 6 })
  }

  @Test("the longest number of the axis has room beside it") func roomForNumbers() throws {
    for values in [[1.0, 2], [123_456, 123_999], [0.010_1, 0.010_2]] {
      let svg = LineChart(
        title: "t", axis: "frame", series: [.init(name: "a", positions: [1, 2], values: values)]
      ).svg
      for label in svg.matches(of: /<text x="([\d.]+)"[^>]*text-anchor="end">([^<]+)</) {
        #expect(try #require(Double(label.output.1)) >= 10 * Double(label.output.2.count))
      }
    }
  }

  @Test("positions under the axis are whole, few, and of equal distance") func positions() {
    #expect(LineChart.positions(from: 1, to: 1) == [1])
    #expect(LineChart.positions(from: 1, to: 3) == [1, 2, 3])
    #expect(LineChart.positions(from: 1, to: 16) == [5, 10, 15])
    #expect(LineChart.positions(from: 1, to: 981) == [200, 400, 600, 800])
  }

  @Test("values grow upwards and positions to the right") func direction() throws {
    let svg = LineChart(
      title: "t", axis: "frame",
      series: [.init(name: "a", positions: [1, 2, 3], values: [1, 3, 2])]
    ).svg
    let match = try #require(svg.firstMatch(of: /points="([^"]+)"/))
    let points = match.output.1.split(separator: " ").map {
      $0.split(separator: ",").compactMap { Double($0) }
    }
    #expect(points.map { $0[0] } == points.map { $0[0] }.sorted())
    #expect(points[1][1] < points[2][1] && points[2][1] < points[0][1])
  }

  @Test("a single value is a point, and no value breaks nothing") func degenerate() {
    let one = LineChart(
      title: "t", axis: "frame", series: [.init(name: "a", positions: [1], values: [7])])
    #expect(one.svg.contains("<circle"))
    let none = LineChart(
      title: "t", axis: "frame",
      series: [.init(name: "a", positions: [1, 2], values: [.nan, .nan])])
    #expect(!none.svg.contains("nan"))
  }

  @Test("says its ranges to whoever cannot see it") func description() {
    let svg = LineChart(
      title: "Noise", axis: "frame",
      series: [.init(name: "a & b", positions: [1, 2], values: [1, 2.5])]
    ).svg
    #expect(svg.contains("aria-label=\"Noise, by frame. a &amp; b between 1.000 and 2.500.\""))
  }
}

import Testing

@testable import stemctl

@Suite struct TableTests {
  private let table = Table(
    columns: [
      .init("JOB"), .init("CLIP", least: 6), .init("SIZE", isNumber: true),
      .init("CLIENT", dispensable: 1), .init("DETAIL", least: 10),
    ],
    rows: [
      ["j1", "ball", "7 MiB", "user:ada", "in 45 s"],
      ["j22", "日本語", "12 MiB", "user:bob", "it failed because of a long reason"],
    ])

  private func lines(in room: Int?) -> [String] { table.lines(in: room).map(\.text) }

  @Test("without a terminal everything is there, aligned, without spaces at the ends")
  func uncut() {
    #expect(
      lines(in: nil) == [
        "JOB  CLIP      SIZE  CLIENT    DETAIL",
        "j1   ball     7 MiB  user:ada  in 45 s",
        "j22  日本語  12 MiB  user:bob  it failed because of a long reason",
      ])
  }

  @Test("in less room the longest cells are cut")
  func cut() {
    #expect(
      lines(in: 50) == [
        "JOB  CLIP      SIZE  CLIENT    DETAIL",
        "j1   ball     7 MiB  user:ada  in 45 s",
        "j22  日本語  12 MiB  user:bob  it failed because …",
      ])
  }

  @Test("in still less room columns are left out, and at last lines are cut; none is ever wider")
  func narrow() {
    #expect(
      lines(in: 36) == [
        "JOB  CLIP      SIZE  DETAIL",
        "j1   ball     7 MiB  in 45 s",
        "j22  日本語  12 MiB  it failed beca…",
      ])
    for room in 1...120 {
      #expect(table.lines(in: room).allSatisfy { $0.width <= room }, "in \(room) columns")
    }
  }

  @Test("facts stand under one another, and long ones go on below their beginning")
  func facts() {
    var facts = Facts()
    facts.add("job", "j1")
    facts.add("error", "the clip is no video that could be read")
    facts.add("missing", nil as String?)
    #expect(
      facts.lines(in: 30).map(\.text) == [
        "job    j1", "error  the clip is no video", "       that could be read",
      ])
    #expect(facts.lines(in: nil).count == 2)
  }
}

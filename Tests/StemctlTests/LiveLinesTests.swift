import EditSettings
import Foundation
import JobQueue
import Testing

@testable import stemctl

@Suite struct LiveLinesTests {
  private func terminal(_ pseudo: PseudoTerminal, _ environment: [String: String] = [:]) -> Terminal
  {
    Terminal(pseudo.theirs, environment: ["TERM": "xterm"].merging(environment) { $1 })
  }

  private func progress(_ step: Int) -> EditProgress {
    EditProgress(
      stage: .invert, step: step, steps: 50, frames: 16, secondsLeft: 80, share: Double(step) / 100)
  }

  @Test(
    "a progress line rewrites itself, says what stays above it, and never wraps",
    arguments: [12, 60, 120])
  func progressLine(columns: Int) throws {
    let pseudo = try PseudoTerminal(columns: columns)
    var line = ProgressLine(terminal(pseudo))
    for step in 0...50 { line.show(progress(step)) }
    line.note("mixed is full here")
    line.show(progress(50))
    try pseudo.wait {
      $0.lines.prefix(4).contains { $0.contains("50/50") || $0.contains("50%  in") }
    }
    // A narrow terminal breaks the note.
    let last = try #require(pseudo.screen.lines.last { !$0.isEmpty })
    #expect(last.contains("50%"))
    #expect(pseudo.screen.lines.filter { $0.contains("%") }.count == 1)
    line.show("done", milestone: "done")
    line.finish()
    try pseudo.wait { $0.lines.contains("done") && !$0.contains("%") }
    if columns > 30 {
      #expect(pseudo.screen.wraps == 0)
      #expect(pseudo.screen.lines.prefix(3) == ["note: mixed is full here", "done", ""])
    }
    #expect(pseudo.screen.unknown == [])
  }

  @Test("a window that changes its size gets the line anew within a second, in its width")
  func resizing() throws {
    let pseudo = try PseudoTerminal(columns: 120)
    var line = ProgressLine(terminal(pseudo))
    line.show(progress(20))
    try pseudo.wait { $0.contains("16 frames") }
    pseudo.resize(columns: 40, rows: 24)
    try pseudo.wait { $0.contains("invert 20/50") && !$0.contains("16 frames") }
    #expect(pseudo.screen.wraps == 0)
    line.finish()
  }

  @Test("without colours wanted there are none, and on a dumb terminal nothing is rewritten")
  func plain() throws {
    let colourless = try PseudoTerminal(columns: 60)
    var line = ProgressLine(terminal(colourless, ["NO_COLOR": "1"]))
    line.show(progress(20))
    line.finish()
    try colourless.wait { $0.contains("20%") }
    #expect(!colourless.written.contains("m█"))
    let dumb = try PseudoTerminal(columns: 60)
    var lines = ProgressLine(terminal(dumb, ["TERM": "dumb"]))
    for step in 20...30 { lines.show(progress(step)) }
    lines.show("done", milestone: "done")
    lines.finish()
    try dumb.wait { $0.contains("done") }
    #expect(dumb.written == "invert 20/50 · 16 frames · 1 min 20 s left\r\ndone\r\n")
  }

  @Test("all running jobs have a line each, which fits; ended ones stay above")
  func watchedJobs() throws {
    let pseudo = try PseudoTerminal(columns: 60)
    let live = LiveLines(terminal(pseudo))
    var jobs = WatchedJobs(live)
    func job(_ id: String, _ name: String, _ state: JobState) -> Job {
      var job = Job(
        id: JobID(rawValue: id), name: name, sourceName: name + ".mp4", state: state, settings: nil,
        submitted: Date())
      job.progress = state == .running ? progress(30) : nil
      return job
    }
    jobs.waiting = 3
    jobs.begin(with: [
      job("a", "ball", .running), job("b", "日本語のとても長い名前のクリップ", .running),
    ])
    jobs.take(job("a", "ball", .done))
    jobs.take(job("c", "cube", .running))
    try pseudo.wait { $0.contains("3 jobs wait") && $0.contains("cube") }
    let lines = pseudo.screen.lines
    #expect(lines[0] == "a ball  done")
    #expect(lines[1].hasPrefix("日本語") && lines[1].contains("30%"))
    #expect(lines[2].hasPrefix("cube ") && lines[2].contains("30%"))
    #expect(lines[3] == "3 jobs wait")
    #expect(pseudo.screen.wraps == 0)
    live.finish()
  }
}

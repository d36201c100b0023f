import EditSettings
import Foundation
import Mustache

extension EditReport {
  /// The page: one file that needs nothing else.
  /// - Throws: never for any texts; only where the page itself is not what it was when it was tested.
  public func html() throws -> Data {
    let template = try MustacheTemplate(
      string: String(decoding: PackageResources.report_mustache, as: UTF8.self))
    return Data(template.render(ReportPage(self)).utf8)
  }
}

/// A report as the template `Page/report.mustache` reads it: every property is a name there.
private struct ReportPage {
  let style = String(decoding: PackageResources.report_css, as: UTF8.self)
  let script = String(decoding: PackageResources.report_js, as: UTF8.self)
  let title, state, stateClass, summary: String
  let failure: Failure?
  let prompts: [EditReport.Fact]
  let hasPrompts: Bool
  let notes: [String]
  let hasNotes: Bool
  let player: Player?
  let strip: [Picture]
  let hasStrip: Bool
  let figures: [Figure]
  let hasFigures: Bool
  let omissions: [String]
  let hasOmissions: Bool
  let plots: [Plot]
  let hasPlots: Bool
  let featurePicture: Picture?
  let stages: [Stage]
  let hasStages: Bool
  let settings: [EditReport.Fact]
  let hasSettings: Bool
  let sidecar: String
  let sidecarUse: String
  let hasSidecar: Bool
  let log: String
  let hasLog: Bool
  let facts: [EditReport.Fact]

  init(_ report: EditReport) {
    title = report.title
    (state, stateClass) =
      switch report.outcome {
      case .done: ("Done", "done")
      case .cancelled: ("Cancelled", "cancelled")
      case .failed: ("Failed", "failed")
      }
    summary = report.summary
    failure = Failure(report.outcome)
    prompts = report.settings.map(\.texts) ?? []
    hasPrompts = !prompts.isEmpty
    notes = report.notes
    hasNotes = !notes.isEmpty
    player = report.player.flatMap(Player.init)
    strip = report.strips.map(Picture.init)
    hasStrip = !strip.isEmpty
    let figures = report.figures
    self.figures = Measure.all.compactMap { measure in
      figures.flatMap(measure.figure).map { Figure(measure, $0) }
    }
    omissions = report.omissions
    hasOmissions = !omissions.isEmpty
    hasFigures = !self.figures.isEmpty || hasOmissions
    plots = Plot.plots(of: report.curves)
    hasPlots = !plots.isEmpty
    featurePicture = report.features.map(Picture.init)
    stages = Stage.stages(of: figures?.seconds ?? [:])
    hasStages = !stages.isEmpty
    settings = report.facts
    hasSettings = !settings.isEmpty
    sidecar = report.sidecar ?? ""
    sidecarUse =
      switch report.outcome {
      case .done:
        "This sidecar beside the same clip, on the same kind of machine, gives the same bits:"
      case .cancelled: "This sidecar asks for the same again:"
      case .failed: "This sidecar asks for the same again; mend in it what was wrong:"
      }
    hasSidecar = report.sidecar != nil
    log = report.log ?? ""
    hasLog = report.log != nil
    facts = report.origin
  }

  struct Failure {
    let heading: String
    let reason: String
    let place: String?
    let advice: [String]
    let hasAdvice: Bool

    init?(_ outcome: EditReport.Outcome) {
      switch outcome {
      case .done: return nil
      case .cancelled(let place, let advice):
        (heading, reason) = ("Cancelled", "Somebody cancelled this job.")
        (self.place, self.advice) = (place, advice)
      case .failed(let reason, let place, let advice):
        (heading, self.place, self.advice) = ("What failed", place, advice)
        self.reason = reason.asSentence
      }
      hasAdvice = !advice.isEmpty
    }
  }

  struct Player {
    struct Video {
      let role, label, source: String
      let width, height: Int
    }

    struct Choice {
      let role, label: String
    }

    struct Comparison {
      let width, height: Int
      let choices: [Choice]
      let over: String
    }

    let videos: [Video]
    let columns, frames, lastFrame: Int
    /// A single frame stands still: browsers that loop it never show it.
    let plays: Bool
    let sampled: String?
    let compare: Comparison?
    let times: String

    init?(_ player: EditReport.Player) {
      guard let last = player.clips.last, player.times.count > 1 else { return nil }
      videos = player.clips.map {
        Video(
          role: $0.role.rawValue, label: $0.role.label, source: dataAddress("video/mp4", $0.movie),
          width: player.size.width, height: player.size.height)
      }
      columns = videos.count
      frames = player.times.count - 1
      lastFrame = frames - 1
      plays = frames > 1
      sampled = player.isSampled
      let others = player.clips.dropLast().map {
        Choice(role: $0.role.rawValue, label: $0.role.label)
      }
      compare =
        others.isEmpty
        ? nil
        : Comparison(
          width: player.size.width, height: player.size.height, choices: others,
          over: last.role.label)
      times = "[" + player.times.map { decimal($0, digits: 5) }.joined(separator: ",") + "]"
    }
  }

  struct Picture {
    let source, label, description: String
    let width, height: Int

    init(_ picture: EditReport.Picture) {
      let isPNG = picture.bytes.starts(with: [0x89, 0x50])
      source = dataAddress(isPNG ? "image/png" : "image/jpeg", picture.bytes)
      (label, description) = (picture.label, picture.description)
      (width, height) = (picture.size.width, picture.size.height)
    }
  }

  struct Figure {
    let name, value, meaning: String

    init(_ measure: Measure, _ value: Double) {
      (name, self.value, meaning) = (measure.label, measure.text(value), measure.meaning)
    }
  }

  struct Plot {
    struct Series {
      let index: Int
      let name: String
    }

    struct Row {
      let position: String
      let values: [String]
    }

    let title, axis, drawing: String
    let series: [Series]
    let rows: [Row]

    private init(_ title: String, _ curves: [(name: String, curve: MeasureCurve)]) {
      self.title = title
      axis = curves[0].curve.axis == .frame ? "frame" : "time step"
      // People count from one.
      let shift = curves[0].curve.axis == .frame ? 1 : 0
      let lines = curves.prefix(LineChart.mostSeries).map {
        LineChart.Series(
          name: $0.name, positions: $0.curve.positions.map { $0 + shift }, values: $0.curve.values)
      }
      drawing = LineChart(title: title, axis: axis, series: lines).svg
      series = lines.enumerated().map { Series(index: $0.offset, name: $0.element.name) }
      let byPosition = lines.map {
        Dictionary(zip($0.positions, $0.values), uniquingKeysWith: { $1 })
      }
      rows = Set(lines.flatMap(\.positions)).sorted().map { position in
        Row(
          position: "\(position)",
          values: byPosition.map { $0[position].map { decimal($0, digits: 3) } ?? "–" })
      }
    }

    /// Measures that go together share a plot; one that is not known has its own.
    static func plots(of curves: [MeasureCurve]) -> [Plot] {
      let curves = curves.filter { !$0.values.isEmpty && $0.values.count == $0.positions.count }
      let known = Measure.Plot.allCases.flatMap { plot in
        [MeasureCurve.Axis.frame, .timestep].compactMap { axis -> Plot? in
          let ofPlot = curves.compactMap { curve -> (String, MeasureCurve)? in
            guard curve.axis == axis, let measure = Measure.named(curve.measure),
              measure.plot == plot
            else { return nil }
            return (measure.label, curve)
          }
          return ofPlot.isEmpty ? nil : Plot(plot.rawValue, ofPlot)
        }
      }
      let others = curves.filter { Measure.named($0.measure) == nil }.map {
        Plot($0.measure.replacing("_", with: " "), [($0.measure, $0)])
      }
      return known + others
    }
  }

  struct Stage {
    let name, time, percent: String

    static func stages(of seconds: [String: Double]) -> [Stage] {
      let total = max(seconds.values.reduce(0, +), 1e-9)
      let known = EditProgress.Stage.allCases.map(\.rawValue)
      let names =
        known.filter { seconds[$0] != nil } + seconds.keys.filter { !known.contains($0) }.sorted()
      return names.compactMap { name in
        seconds[name].map {
          Stage(
            name: name.replacing("-", with: " "),
            time: $0 < 60 ? decimal($0, digits: 1) + " s" : durationText(seconds: $0),
            percent: "\(Int((100 * $0 / total).rounded()))")
        }
      }
    }
  }
}

extension EditReport {
  /// The first sentence under the title.
  fileprivate var summary: String {
    guard outcome == .done, let figures else { return "" }
    let frames = figures.frames == 1 ? "1 frame" : "\(figures.frames) frames"
    let method = settings.map { " with \($0.method.rawValue)" } ?? ""
    let seconds = durationText(seconds: figures.seconds.values.reduce(0, +))
    return "\(frames) of \(figures.size), edited\(method) in \(seconds)."
  }
}

extension EditReport.Clip.Role {
  public var label: String {
    switch self {
    case .source: "Source"
    case .reconstruction: "Reconstruction"
    case .edit: "Edit"
    }
  }
}

extension EditSettings {
  fileprivate var texts: [EditReport.Fact] {
    [
      ("It shows", sourcePrompt), ("It should show", prompt),
      ("It should not show", negativePrompt),
    ]
    .filter { !$0.1.isEmpty }.map { EditReport.Fact($0.0, $0.1) }
  }
}

extension String {
  /// Begins with a capital, but for the name of a file.
  fileprivate var asSentence: String {
    let word = prefix { !$0.isWhitespace }
    return word.allSatisfy(\.isLetter) ? prefix(1).uppercased() + dropFirst() : self
  }
}

private func dataAddress(_ type: String, _ bytes: Data) -> String {
  "data:\(type);base64,\(bytes.base64EncodedString())"
}

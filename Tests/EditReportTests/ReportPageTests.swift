import EditSettings
import Foundation
import Testing

@testable import EditReport

@Suite("Report page") struct ReportPageTests {
  /// One of everything.
  static func report() -> EditReport {
    var settings = EditSettings(prompt: "a blue ball", sourcePrompt: "a red ball")
    settings.negativePrompt = "blur"
    var figures = EditFigures(
      frames: 3, size: FrameSize(width: 96, height: 64), frameRate: 8, precision: .full)
    figures.seconds = ["invert": 60, "edit": 90.25, "encode": 0.5]
    figures.reconstructionPSNR = 30.125
    var report = EditReport(title: "ball.mp4", settings: settings)
    report.figures = figures
    report.facts = [.init("steps", "50")]
    report.sidecar = "prompt: \"a blue ball\"\n"
    report.notes = ["the clip ends early"]
    report.omissions = ["no image encoder"]
    report.curves = [
      MeasureCurve(
        measure: "reconstruction_psnr", axis: .frame, positions: [0, 1, 2], values: [30, 31, 29.5])
    ]
    report.player = EditReport.Player(
      clips: [
        .init(.source, movie: Data("source".utf8)), .init(.edit, movie: Data("edit".utf8)),
      ], size: FrameSize(width: 96, height: 64), times: [0, 0.125, 0.25, 0.375])
    report.strips = [
      .init(
        Data([0xff, 0xd8]), size: FrameSize(width: 288, height: 64), label: "Source",
        description: "three frames")
    ]
    report.origin = [.init("Program", "stemd")]
    return report
  }

  static func html(_ report: EditReport) throws -> String {
    String(decoding: try report.html(), as: UTF8.self)
  }

  @Test("shows prompts, settings, figures, notes, stage times and the sidecar") func contents()
    throws
  {
    let html = try Self.html(Self.report())
    for text in [
      "<h1>ball.mp4</h1>", "a blue ball", "a red ball", "blur", "30.12 dB", "the clip ends early",
      "no image encoder", "3 frames of 96x64", "1 min 30 s", "0.5 s", "<dt>steps</dt><dd>50</dd>",
      "prompt: &quot;a blue ball&quot;", "data:video/mp4;base64,c291cmNl", "data:image/jpeg;base64",
      "<polyline", "Frame 1 of 3", "[0.00000,0.12500,0.25000,0.37500]",
    ] {
      #expect(html.contains(text), "\(text)")
    }
    #expect(!html.contains("{{"))
  }

  @Test("needs nothing but itself: no address leads out of the file") func selfContained() throws {
    let html = try Self.html(Self.report())
    let addresses = html.matches(of: /(?:src|href|url)\s*[=(]\s*"?([^"\s>)]+)/).map { $0.output.1 }
    #expect(!addresses.isEmpty)
    for address in addresses {
      #expect(
        address.hasPrefix("data:") || address.hasPrefix("#") || !address.contains(":"), "\(address)"
      )
    }
    #expect(!html.contains("http:") && !html.contains("https:"))
    #expect(html.contains("default-src 'none'"))
  }

  @Test(
    "texts of strangers stay texts",
    arguments: [
      "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "</pre><b>", "{{title}}",
    ])
  func escapes(_ hostile: String) throws {
    var report = Self.report()
    report.title = hostile
    report.settings?.prompt = hostile
    report.notes = [hostile]
    report.sidecar = hostile
    report.log = hostile
    report.outcome = .failed(reason: hostile, place: hostile, advice: [hostile])
    report.facts = [.init(hostile, hostile)]
    report.curves[0].measure = hostile
    report.player?.isSampled = hostile
    report.strips[0].description = hostile
    let html = try Self.html(report)
    if hostile.contains("{{") {
      #expect(html.contains("{{title}}"))
    } else {
      #expect(!html.contains(hostile))
      #expect(
        html.contains(
          hostile.replacing("<", with: "&lt;").split(separator: ">")[0].replacing(
            "\"", with: "&quot;")))
    }
  }

  @Test("a failed job's page says what failed, where and what to do, and how its log ended")
  func failure() throws {
    var report = EditReport(
      title: "ball",
      outcome: .failed(
        reason: "the clip is empty.", place: "at: decode", advice: ["Send it again."]),
      settings: nil)
    report.log = "error failed"
    let html = try Self.html(report)
    for text in [
      "Failed", "The clip is empty.", "at: decode", "<li>Send it again.</li>", "error failed",
    ] {
      #expect(html.contains(text), "\(text)")
    }
    for absent in ["<video", "id=\"settings\"", "id=\"figures\"", "id=\"prompts\""] {
      #expect(!html.contains(absent), "\(absent)")
    }
  }

  @Test("a curve of a measure that nobody knows has a plot of its own") func unknownMeasure() throws
  {
    var report = Self.report()
    report.curves.append(
      MeasureCurve(
        measure: "new_thing", axis: .timestep, positions: [1, 981], values: [0.5, 0.25]))
    let html = try Self.html(report)
    #expect(html.contains("<figcaption>new thing</figcaption>"))
    #expect(html.components(separatedBy: "class=\"plot\"").count == 3)
  }
}

import EditReport
import EditSettings
import Foundation
import Tensor

/// What lies beside an edit, for people to look at: `report.html`, `comparison.mp4`, `poster.png`.
public struct EditPresentation: Sendable {
  /// An existing folder.
  public var folder: String
  public var title: String
  /// Job and model.
  public var origin: [EditReport.Fact]
  /// Puts settings, to which the edit has added what was left to its defaults, into words.
  public var wording: @Sendable (EditSettings) -> Wording

  public struct Wording: Sendable {
    /// Every setting by its name, but for the texts.
    public var facts: [EditReport.Fact]
    /// The sidecar that asks for the same again.
    public var sidecar: String

    public init(facts: [EditReport.Fact] = [], sidecar: String = "") {
      (self.facts, self.sidecar) = (facts, sidecar)
    }
  }

  public init(
    folder: String, title: String, origin: [EditReport.Fact] = [],
    wording: @escaping @Sendable (EditSettings) -> Wording
  ) {
    (self.folder, self.title, self.origin, self.wording) = (folder, title, origin, wording)
  }

  func path(_ name: String) -> String { folder + "/" + name }

  /// Writes all that lies beside the edit, the page last.
  /// - Parameters:
  ///   - page: with what it says of the edit as a whole.
  ///   - settings: all that the edit went by.
  ///   - progress: told before each of the steps; what it throws ends the work.
  ///   - figures: asked for when all but the page is there.
  /// - Throws: `ClipEditError`, `VideoFileError`, and what `progress` throws.
  func deliver(
    _ page: EditReport, _ settings: EditSettings, _ clips: PresentedClips,
    _ measures: EditMeasures,
    progress: (_ step: Int, _ steps: Int) throws -> Void, figures: () -> EditFigures
  ) throws {
    let steps = 3
    var page = page
    try progress(0, steps)
    try clips.deliver(to: self, omitted: { page.omissions.append($0) })
    try progress(1, steps)
    let wording = wording(settings)
    (page.facts, page.sidecar) = (wording.facts, wording.sidecar)
    page.origin = origin + page.origin
    (page.curves, page.omissions) = (measures.curves, measures.omissions + page.omissions)
    page.player = try clips.player()
    try progress(2, steps)
    page.strips = try clips.strips()
    page.features = try measures.featurePicture.map { try clips.picture(ofFeatures: $0) }
    page.figures = figures()
    try write(page)
  }

  /// Aside and synced, like all that is delivered.
  private func write(_ page: EditReport) throws {
    do {
      // As the videos beside it.
      _ = try DurableFile.write(
        into: folder, named: { _ in EditReport.fileName }, permissions: 0o666
      ) { file in
        try page.html().withUnsafeBytes { try file.write($0) }
      }
    } catch let error as DurableFileError {
      throw ClipEditError("the report: \(error)", mayPass: true)
    }
  }
}

import EditSettings
import Foundation
import StableDiffusion
import Tensor
import Testing
import VideoFile

@testable import ClipEdit

/// The repository's own model and clips.
enum TinyWorld {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Models/tiny-world")
  static func model(_ precision: Precision) throws -> StableDiffusionModel {
    try (precision == .full ? full : mixed).get()
  }
  private static let full = Result { try StableDiffusionModel(at: folder) }
  private static let mixed = Result {
    try StableDiffusionModel(at: folder, precision: .mixed)
  }
  static let clip = folder.appending(path: "clips/00-color.mp4").path
}

/// A built program, beside the one that runs the tests.
func program(_ name: String) -> URL {
  URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    .appending(path: name)
}

/// A folder of its own for each test, gone with it.
final class TemporaryFolder {
  let url = FileManager.default.temporaryDirectory.appending(path: "clip-edit-\(UUID().uuidString)")

  init() throws {
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func path(_ name: String) -> String { url.path + "/" + name }
}

/// One run of an edit, which may be cut off, and what there is to see of it.
struct EditRun {
  struct Cut: Error {}

  static let settings = EditSettings(
    prompt: "a photo of a purple metal ball on sand", sourcePrompt: "a photo of a red metal ball",
    steps: 3, frames: 3, size: .exactly(FrameSize(width: 64, height: 64)), bases: 16)

  /// Frames that the autoencoder takes in two portions, 7 and 2, and TokenFlow in two groups.
  static var larger: EditSettings {
    var settings = settings
    (settings.frames, settings.size) = (9, .exactly(FrameSize(width: 192, height: 176)))
    return settings
  }

  var settings = Self.settings
  var precision = Precision.full
  var limits = ClipLimits()
  /// `nil` for the run's own folder.
  var scratchFolder: String?
  var keeping: EditKeeping
  private(set) var notes: [String] = []
  private(set) var checkpoints: [String] = []
  private(set) var steps: [String] = []

  init(_ settings: EditSettings = Self.settings, checkpoint: String? = nil, cache: String? = nil) {
    self.settings = settings
    keeping = EditKeeping(checkpointFolder: checkpoint, interval: 0, cacheFolder: cache)
  }

  /// - Parameter during: called at every step with its stage and number.
  mutating func callAsFunction(
    cutAt cut: String? = nil,
    during: (String) throws -> Void = { _ in },
    wantsCheckpoint: () -> Bool = { false }
  ) throws -> EditFigures {
    let folder = try TemporaryFolder()
    var (notes, checkpoints, steps): ([String], [String], [String]) = ([], [], [])
    defer { (self.notes, self.checkpoints, self.steps) = (notes, checkpoints, steps) }
    let edit = try ClipEdit(
      model: TinyWorld.model(precision), settings: settings,
      video: VideoProcess(program: program("stem-worker")),
      scratchFolder: scratchFolder ?? folder.url.path)
    return try edit.run(
      input: TinyWorld.clip, output: folder.path("edited.mp4"), limits: limits, keeping: keeping,
      note: { notes.append($0) }, wantsCheckpoint: wantsCheckpoint,
      checkpointed: { checkpoints.append(Self.text($0)) },
      progress: { progress in
        steps.append(Self.text(progress))
        try during(Self.text(progress))
        if Self.text(progress) == cut { throw Cut() }
      })
  }

  private static func text(_ progress: EditProgress) -> String {
    "\(progress.stage.rawValue) \(progress.step)"
  }
}

/// The parts that a checkpoint names, which tell their content, of these series or of all.
func parts(_ folder: String, of series: String...) throws -> [String] {
  let manifest = try #require(try CheckpointFolder(folder).manifest())
  return manifest.parts.filter { series.isEmpty || series == $0.series }.map(\.name).sorted()
}

func names(in folder: String) throws -> [String] {
  try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
}

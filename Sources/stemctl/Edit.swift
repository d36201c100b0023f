import ArgumentParser
import ClipEdit
import EditReport
import EditSettings
import Foundation
import JobQueue
import StableDiffusion
import Tensor
import VideoFile

struct Edit: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Edit one clip in the foreground, without a daemon.",
    discussion: "Shows progress on standard error; the edited mp4 appears whole or not at all.")

  @Argument(help: "The clip.", completion: .file())
  var input: String

  @OptionGroup var settings: SettingsOptions

  @Option(name: .shortAndLong, help: "The edited mp4.", completion: .file(extensions: ["mp4"]))
  var output: String

  @Option(help: "What the edited mp4 is coded in.")
  var codec = VideoCoding().codec

  @Option(
    parsing: .unconditional,
    help:
      "The encoder's constant quality (crf), the smaller the better: 0 to 51 of h264 and hevc, 0 to 63 of av1 and vp9. (default: one that is hard to tell from the edit)"
  )
  var quality: Int?

  @Option(
    help:
      "Write figures to this JSON file: reconstruction_psnr, and with --truth edit_psnr, unedited_psnr, changed_psnr.",
    completion: .file())
  var metrics: String?

  @Option(
    help:
      "Put report.html, comparison.mp4 and poster.png into this folder, which is made where it is missing.",
    completion: .directory)
  var report: String?

  @Option(help: "A clip that shows the perfect edit, to measure against.", completion: .file())
  var truth: String?

  @Flag(
    inversion: .prefixedNo,
    help:
      "With --metrics or --report, also reconstruct the clip from its noise; takes a quarter of the time."
  )
  var reconstruction = true

  @Option(
    parsing: .unconditional, help: "Threads to compute with (default: one per processor).")
  var threads: Int?

  @Option(
    help:
      "Keep checkpoints in this folder; the same command goes on from there after an interruption.",
    completion: .directory)
  var checkpoint: String?

  @Option(
    help: "Keep inversions in this folder, and reuse those of earlier edits of the same clip.",
    completion: .directory)
  var cache: String?

  @Option(help: ArgumentHelp("Seconds from one checkpoint to the next.", visibility: .hidden))
  var checkpointInterval = 5.0

  @OptionGroup var terminal: TerminalOptions

  func validate() throws {
    try OptionChecks.threads(threads)
    let suffix = URL(fileURLWithPath: output).pathExtension
    guard ["mp4", "m4v"].contains(suffix.lowercased()) else {
      throw ValidationError("The edited video is an mp4: let --output end with .mp4.")
    }
    if let refusal = VideoCoding(codec: codec, quality: quality).refusal {
      throw ValidationError("\(refusal).")
    }
    if truth != nil, metrics == nil, report == nil {
      throw ValidationError(
        "--truth says what to measure against; add --metrics FILE.json or --report FOLDER to get the figures."
      )
    }
  }

  func run() throws {
    try settings.requirePrompt()
    signal(SIGPIPE, SIG_IGN)
    if let threads { Parallel.threads = threads }
    let settings = settings.settings
    var line = ProgressLine(terminal.terminal(STDERR_FILENO))
    let interruption = line.interruption()
    defer { withExtendedLifetime(interruption) { line.finish() } }
    try requireReadable(input, as: "clip")
    if let truth { try requireReadable(truth, as: "truth") }
    let beside = report.map { folder in EditReport.fileNames.map { folder + "/" + $0 } } ?? []
    let written = [output] + (metrics.map { [$0] } ?? []) + beside
    for (index, path) in written.enumerated() {
      let others = [input, truth].compactMap(\.self) + written[..<index]
      if let lost = others.first(where: { isSameFile($0, path) }) {
        throw CommandFailure("\(path) would replace \(lost): choose another name for one of them.")
      }
    }
    try requireWritableFolder(of: output, for: "edited mp4")
    if let metrics { try requireWritableFolder(of: metrics, for: "figures") }
    if let report {
      try makeFolder(report)
      try requireWritableFolder(of: report + "/report.html", for: "report")
    }
    func note(_ sentence: String) { line.note(sentence) }
    line.show(EditProgress(stage: .load, step: 0, steps: 1, frames: 0, share: 0))
    let precision = (settings.precision ?? .auto).resolved(note: note)
    let edit = try ClipEdit(
      model: try StableDiffusionModel(
        modelSource(named: settings.model, loras: settings.loras), precision: precision),
      settings: settings,
      video: VideoProcess(
        program: URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()),
      scratchFolder: ScratchFolder.path,
      coding: VideoCoding(codec: codec, quality: quality))
    var figures = try edit.run(
      input: input, output: output,
      measuring: .init(
        reconstruction: (metrics != nil || report != nil) && reconstruction
          && settings.reconstruction, truth: truth),
      presentation: report.map { presentation(in: $0, settings, precision) },
      keeping: EditKeeping(
        checkpointFolder: checkpoint, interval: checkpointInterval, cacheFolder: cache),
      note: note, progress: { line.show($0) })
    figures.seconds["total"] = figures.seconds.values.reduce(0, +)
    line.show(
      "\(output): \(figures.frames) frames of \(figures.size) in \(durationText(seconds: figures.seconds["total"] ?? 0)), in \(precision) precision",
      milestone: "done")
    line.finish()
    if let metrics {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      try encoder.encode(figures).write(to: URL(fileURLWithPath: metrics), options: .atomic)
    }
  }

  private func presentation(
    in folder: String, _ settings: EditSettings, _ precision: Precision
  ) -> EditPresentation {
    // A sidecar names a model among the models, not a path.
    let model = settings.model.map {
      let name = URL(fileURLWithPath: $0).lastPathComponent
      return name.hasSuffix(".safetensors") ? String(name.dropLast(12)) : name
    }
    return EditPresentation(
      folder: folder, title: URL(fileURLWithPath: input).lastPathComponent,
      origin: model.map { [EditReport.Fact("Model", $0)] } ?? []
    ) { [reconstruction] settings in
      var settings = settings
      (settings.model, settings.precision) = (model, PrecisionSetting(precision))
      settings.reconstruction = settings.reconstruction && reconstruction
      return EditPresentation.Wording(facts: settings.facts, sidecar: settings.sidecarText)
    }
  }
}

import ArgumentParser
import ClipEdit
import EditSettings
import Foundation
import StableDiffusion
import Tensor
import VideoEditing
import VideoFile

struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a video from a text alone, with Text2Video-Zero.",
    discussion: "Shows progress on standard error; the mp4 appears whole or not at all.")

  @Option(help: "What the video should show.")
  var prompt: String

  @Option(help: "What the video should not show.")
  var negativePrompt = ""

  @Option(name: .shortAndLong, help: "The mp4.", completion: .file(extensions: ["mp4"]))
  var output: String

  @Option(help: "How many frames, 1 to 1024.")
  var frames = defaults.frames

  @Option(help: "Frames a second, 1 to 120.")
  var frameRate = 4

  @Option(
    help: ArgumentHelp(
      "How far the scene moves from frame to frame, in 512ths of its width and height: one number for both, or X,Y.",
      valueName: "N or X,Y"))
  var motionStrength = defaults.motion

  @Option(
    help:
      "The noise level at which frames are moved: its place among the steps from 0, the cleanest. (default: 44 of 50)"
  )
  var t0: Int?

  @Option(
    help:
      "The noise level from which all frames are sampled together; above --t0. (default: 47 of 50)")
  var t1: Int?

  @Option(
    help: ArgumentHelp(
      "The size in pixels, multiples of 8; one number for a square. (default: the model's own)",
      valueName: "WxH"))
  var size: WorkingSize?

  @Option(parsing: .unconditional, help: "Steps, 2 to 1000.")
  var steps = defaults.steps

  @Option(parsing: .unconditional, help: "How strongly the prompt guides, 0 to 100.")
  var guidance = defaults.guidance

  @Option(parsing: .unconditional, help: "Where the random numbers start.")
  var seed = defaults.seed

  @Option(help: "The model. (default: the one that comes with stemd)")
  var model: String?

  @Option(help: "In what to compute: full, mixed, or auto, which is mixed where the processor can.")
  var precision = PrecisionSetting.auto

  @Option(
    parsing: .unconditional, help: "Threads to compute with (default: one per processor).")
  var threads: Int?

  @OptionGroup var terminal: TerminalOptions

  private static var defaults: VideoGeneration { VideoGeneration() }

  func validate() throws {
    if prompt.allSatisfy(\.isWhitespace) {
      throw ValidationError("--prompt takes what the video should show, not an empty text.")
    }
    try OptionChecks.whole("--frames", frames, in: 1...1024)
    try OptionChecks.whole("--frame-rate", frameRate, in: 1...120)
    try OptionChecks.steps(steps, in: 2...1000)
    try OptionChecks.whole("--t0", t0, in: 0...steps - 2)
    try OptionChecks.whole("--t1", t1, in: (t0 ?? 0) + 1...steps - 1)
    try OptionChecks.threads(threads)
    try OptionChecks.guidance(guidance)
    try OptionChecks.size(size)
  }

  func run() throws {
    signal(SIGPIPE, SIG_IGN)
    if let threads { Parallel.threads = threads }
    try requireWritableFolder(of: output, for: "generated mp4")
    var line = ProgressLine(terminal.terminal(STDERR_FILENO))
    let interruption = line.interruption()
    defer { withExtendedLifetime(interruption) { line.finish() } }
    func note(_ sentence: String) { line.note(sentence) }
    line.show(ProgressFigures(stage: "load", step: 0, steps: 1, share: 0), text: "load")
    let model = try StableDiffusionModel(
      at: modelURL(named: model), precision: precision.resolved(note: note))
    let start = ContinuousClock.now
    let made = try clip.run(
      with: model,
      video: VideoProcess(
        program: URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()),
      scratchFolder: ScratchFolder.path, output: output, note: note
    ) { progress in
      let elapsed = (ContinuousClock.now - start) / .seconds(1)
      let figures = ProgressFigures(progress, elapsed: elapsed)
      let left = figures.secondsLeft.map { " · \(durationText(seconds: $0)) left" } ?? ""
      line.show(figures, text: figures.stageText + left)
    }
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    line.show(
      "\(output): \(frames) frames of \(made) in \(durationText(seconds: seconds)), in \(model.precision) precision",
      milestone: "done")
  }

  private var frameSize: FrameSize? {
    switch size {
    case nil: nil
    case .exactly(let size): size
    case .shorterSide(let side): FrameSize(width: side, height: side)
    }
  }

  private var clip: ClipGeneration {
    var generation = VideoGeneration()
    (generation.frames, generation.steps, generation.guidance) = (frames, steps, guidance)
    (generation.motion, generation.t0, generation.t1) = (motionStrength, t0, t1)
    generation.seed = seed
    return ClipGeneration(
      prompt: prompt, negativePrompt: negativePrompt, size: frameSize, frameRate: frameRate,
      generation: generation)
  }
}

extension Motion: ExpressibleByArgument {
  /// One number, or two with a comma between.
  public init?(argument: String) {
    let numbers = argument.split(separator: ",", omittingEmptySubsequences: false).map {
      Double($0.trimmingCharacters(in: .whitespaces))
    }
    guard (1...2).contains(numbers.count), let x = numbers[0], let y = numbers[numbers.count - 1],
      abs(x) <= 512, abs(y) <= 512
    else { return nil }
    self.init(x: x, y: y)
  }

  public var defaultValueDescription: String { x == y ? "\(x)" : "\(x),\(y)" }
}

import ArgumentParser
import EditSettings
import JobQueue

/// Everything that can be asked for of an edit, with the names that a sidecar has for it.
struct SettingsOptions: ParsableArguments {
  // Asked for by `requirePrompt`: a misspelled option is to be told before a missing one.
  @Option(help: "What the edited video should show. Needed.")
  var prompt = ""

  @Option(help: "What the video shows now.")
  var sourcePrompt = defaults.sourcePrompt

  @Option(help: "What the edited video should not show.")
  var negativePrompt = defaults.negativePrompt

  @Option(help: "How the inverted clip is edited.")
  var method = defaults.method

  @Option(help: "How the clip is turned into noise.")
  var inversion = defaults.inversion

  @Option(
    parsing: .unconditional, help: "Steps of the inversion and of the edit alike, 1 to 1000.")
  var steps = defaults.steps

  @Option(
    parsing: .unconditional, help: "How strongly the prompt guides the edit, 0 to 100.")
  var guidance = defaults.guidance

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Edit only what is shown from this time of the clip on, in seconds.", valueName: "seconds"))
  var start = defaults.start

  @Option(
    parsing: .unconditional, help: "Edit only this many frames, from there. (default: all)")
  var count: Int?

  @Option(parsing: .unconditional, help: "The same as --count.")
  var frames: Int?

  @Option(
    parsing: .unconditional,
    help: "Edit only every so manyth frame; each is shown until the next one.")
  var every = defaults.every

  @Option(
    help: ArgumentHelp(
      "The working size in pixels, multiples of 8, or its shorter side. (default: what fits model and clip)",
      valueName: "WxH"))
  var size: WorkingSize?

  @Option(
    help:
      "The size of the edited video: the working size, or the one at which the clip itself is shown."
  )
  var outputSize = defaults.outputSize

  @Option(parsing: .unconditional, help: "Where the random numbers start.")
  var seed = defaults.seed

  @Option(parsing: .unconditional, help: "STEM: how many bases summarise the video.")
  var bases = defaults.bases

  @Option(parsing: .unconditional, help: "STEM: how many rounds find the bases.")
  var iterations = defaults.iterations

  @Option(help: "The model. (default: the daemon's)")
  var model: String?

  @Option(
    help:
      "In what to compute: 32-bit floats throughout, or mixed with 16-bit ones, which are faster; auto takes mixed where the processor supports it. (default: the daemon's, else auto)"
  )
  var precision: PrecisionSetting?

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp(
      "Any key of a sidecar, such as attention_share=0.3 or 'blend_words=[ball]': see stemd-sidecar(5). Can be given several times.",
      valueName: "KEY=VALUE"))
  var assignments: [String] = []

  private static let defaults = EditSettings(prompt: "")

  func validate() throws {
    try OptionChecks.steps(steps)
    try OptionChecks.guidance(guidance)
    try OptionChecks.start(start)
    try OptionChecks.whole("--count", count, in: 1...Int.max)
    try OptionChecks.whole("--frames", frames, in: 1...Int.max)
    if count != nil, frames != nil {
      throw ValidationError("--count and --frames are the same; keep one of them.")
    }
    try OptionChecks.whole("--every", every, in: 1...1_000_000)
    try OptionChecks.size(size)
    try OptionChecks.whole("--bases", bases, in: 1...65536)
    try OptionChecks.whole("--iterations", iterations, in: 1...1000)
    guard !hasNoPrompt else { return }
    do { _ = try assigned() } catch let error as SidecarError {
      throw ValidationError("\(error).")
    }
  }

  /// Called by `run`, since all of an option group's validation comes before unknown options are
  /// told.
  func requirePrompt() throws {
    guard hasNoPrompt else { return }
    throw CommandFailure(
      "Say what the edited video should show: --prompt \"a photo of a blue ball\".")
  }

  private var hasNoPrompt: Bool { prompt.allSatisfy(\.isWhitespace) }

  /// As `validate` has found them.
  var settings: EditSettings { (try? assigned()) ?? plain }

  private func assigned() throws -> EditSettings {
    var settings = try Sidecar.setting(assignments, in: plain)
    // A path is one for `edit`, which a sidecar's model is not.
    settings.model = model ?? settings.model
    return settings
  }

  private var plain: EditSettings {
    var settings = EditSettings(
      prompt: prompt, sourcePrompt: sourcePrompt, negativePrompt: negativePrompt, method: method,
      inversion: inversion, steps: steps,
      guidance: guidance, frames: count ?? frames, size: size, seed: seed, bases: bases,
      iterations: iterations, precision: precision)
    (settings.start, settings.every, settings.outputSize) = (start, every, outputSize)
    return settings
  }
}

extension EditingMethod: ExpressibleByArgument {}
extension InversionMethod: ExpressibleByArgument {}
extension PrecisionSetting: ExpressibleByArgument {}
extension WorkingSize: ExpressibleByArgument {}
extension OutputSize: ExpressibleByArgument {}
extension VideoCoding.Codec: ExpressibleByArgument {}

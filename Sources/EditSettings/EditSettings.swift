/// What a person asks for when they want a video edited: the one vocabulary that the sidecar file,
/// the control socket, the command line and the editing engine share. It holds no behaviour but its
/// own limits, so that the daemon can check a request without linking the engine.
public struct EditSettings: Codable, Sendable, Equatable {
  /// What the edited video should show.
  public var prompt: String
  /// What the video shows now; empty where the user did not say.
  public var sourcePrompt: String
  /// What the edited video should not show; the unconditional branch of classifier-free guidance.
  public var negativePrompt: String
  public var method: EditingMethod
  public var inversion: InversionMethod
  /// DDIM steps of the edit, and of the inversion where nothing else is said; 1 … 1000.
  public var steps: Int
  /// A multiple of `steps`; `nil` for as many.
  public var inversionSteps: Int?
  /// Classifier-free guidance scale; 0 … 100.
  public var guidance: Double
  /// Edit only what is shown from this time on, in seconds from the clip's first frame.
  public var start = 0.0
  /// Edit only this many frames, from there; `nil` for all of them.
  public var frames: Int?
  /// Edit only every so manyth frame, and show each until the next one.
  public var every = 1
  /// The working size; `nil` for one that fits the model and keeps the clip's shape.
  public var size: WorkingSize?
  /// The size of the edited video.
  public var outputSize = OutputSize.working
  public var seed: UInt64
  /// STEM: how many bases summarise the video (m in the paper).
  public var bases: Int
  /// STEM: how many rounds of expectation maximisation find them (R in the paper).
  public var iterations: Int
  /// STEM: the softmax's temperature in the E step (τ in the paper).
  public var temperature = 0.01
  /// STEM: what the bases are found among.
  public var basesOf = BasesSource.keys
  /// STEM: what becomes of bases that stand for no token.
  public var emptyBases = EmptyBases.attended
  public var options = EditorOptions()
  /// The name of a folder or file among the models, a file's without its ending; `nil` for the
  /// default model.
  public var model: String?
  /// LoRAs by name, and how strongly each changes the model.
  public var loras: [String: Double] = [:]
  /// `nil` for what the daemon's configuration says; without a daemon, for `auto`.
  public var precision: PrecisionSetting?
  /// Whether a report also shows what the inversion kept of the clip.
  public var reconstruction = true

  public init(
    prompt: String, sourcePrompt: String = "", negativePrompt: String = "",
    method: EditingMethod = .tokenflow,
    inversion: InversionMethod = .stem, steps: Int = 50, guidance: Double = 7.5, frames: Int? = nil,
    size: WorkingSize? = nil,
    seed: UInt64 = 0, bases: Int = 256, iterations: Int = 5, model: String? = nil,
    precision: PrecisionSetting? = nil
  ) {
    self.prompt = prompt
    self.sourcePrompt = sourcePrompt
    self.negativePrompt = negativePrompt
    self.method = method
    self.inversion = inversion
    self.steps = steps
    self.guidance = guidance
    self.frames = frames
    self.size = size
    self.seed = seed
    self.bases = bases
    self.iterations = iterations
    self.model = model
    self.precision = precision
  }
}

/// The size that an edited clip is written in.
public enum OutputSize: String, Codable, Sendable, CaseIterable {
  /// The one that it was edited at.
  case working
  /// The one at which the clip itself is shown; the edit is enlarged to it.
  case source
}

/// How the clip is turned into noise.
public enum InversionMethod: String, Codable, Sendable, CaseIterable {
  /// Every frame attends to itself.
  case ddim
  /// Every frame attends to all frames.
  case spatialTemporal = "spatial-temporal"
  /// Every frame attends to the bases that summarise all frames.
  case stem
}

/// What becomes of STEM's bases that stand for no token.
public enum EmptyBases: String, Codable, Sendable, CaseIterable {
  /// They are attended to as all others, as the authors' code has it.
  case attended
  /// Attention leaves them out.
  case masked
}

/// What STEM's expectation maximisation runs on.
public enum BasesSource: String, Codable, Sendable, CaseIterable {
  /// Each head's projected keys, as the authors' code has it.
  case keys
  /// The layer's input, whose bases are projected afterwards, as the paper has it.
  case features
}

/// How the inverted clip is edited.
public enum EditingMethod: String, Codable, Sendable, CaseIterable {
  /// Sample the source prompt from the inverted noise: shows what the inversion kept.
  case reconstruct
  case tokenflow
  /// The attention that the inversion saw goes into the edit, word by word.
  case fatezero
  /// Frame after frame; each looks at the first and the previous one.
  case pix2video
  /// Every frame looks at the first one; on a model that takes instructions, by instruction.
  case text2videoZero = "text2video-zero"
}

/// In what an edit's matrix products are computed.
public enum PrecisionSetting: String, Codable, Sendable, CaseIterable {
  /// Mixed where the processor supports it, else full.
  case auto
  /// 32-bit floats throughout.
  case full
  /// Products of 16-bit brain floats (bf16) summed in 32 bits: faster, and less exact.
  case mixed
}

/// Width and height in pixels, written `WIDTHxHEIGHT`.
public struct FrameSize: Codable, Sendable, Equatable, Hashable, LosslessStringConvertible {
  public var width: Int
  public var height: Int

  public init(width: Int, height: Int) {
    self.width = width
    self.height = height
  }

  public init?(_ description: String) {
    let parts = description.lowercased().split(separator: "x", omittingEmptySubsequences: false)
    guard parts.count == 2, let width = Int(parts[0]), let height = Int(parts[1]), width > 0,
      height > 0
    else { return nil }
    self.init(width: width, height: height)
  }

  public var description: String { "\(width)x\(height)" }
}

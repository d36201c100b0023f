import EditReport
import EditSettings
import Foundation
import StableDiffusion
import Tensor
import VideoEditing
import VideoFile

/// One edit from file to file: what a worker does for a job and `stemctl edit` does in the
/// foreground.
public struct ClipEdit {
  /// What to measure besides the time.
  public struct Measurement: Sendable {
    /// Reconstruct the clip from its inversion; costs a third again of the time.
    public var reconstruction: Bool
    /// With that, also tell the autoencoder's error from the inversion's, for which the clip's own
    /// latents are decoded.
    public var autoencoder: Bool
    /// The path of a clip that shows the perfect edit.
    public var truth: String?
    /// Look at the features of the inversion; costs next to nothing.
    public var features: Bool

    public init(
      reconstruction: Bool = false, autoencoder: Bool = true, truth: String? = nil,
      features: Bool = true
    ) {
      (self.reconstruction, self.autoencoder) = (reconstruction, autoencoder)
      (self.truth, self.features) = (truth, features)
    }
  }

  private let model: StableDiffusionModel
  private let settings: EditSettings
  private let video: VideoProcess
  private let scratchFolder: String
  private let coding: VideoCoding

  /// - Parameters:
  ///   - scratchFolder: where there is room for the frames of the longest clip, and what its
  ///     inversion leaves.
  ///   - model: computes in its own precision, whatever the settings say;
  ///   `PrecisionSetting.resolved` says which they ask for.
  ///   - coding: of the edited video.
  /// - Throws: `ClipEditError` where the model cannot do what the settings ask for, or this machine
  ///   cannot write what the coding asks for.
  public init(
    model: StableDiffusionModel, settings: EditSettings, video: VideoProcess,
    scratchFolder: String, coding: VideoCoding = VideoCoding()
  ) throws {
    (self.model, self.settings, self.video) = (model, settings, video)
    (self.scratchFolder, self.coding) = (scratchFolder, coding)
    try coding.check()
    let multiple = model.autoencoder.scale
    if let size = settings.size, size.sides.contains(where: { $0 % multiple != 0 }) {
      throw ClipEditError(
        "the size \(size) does not fit this model: its sides must be multiples of \(multiple)")
    }
    try VideoEdit.check(settings, for: model)
  }

  /// - Parameters:
  ///   - input: the clip's path.
  ///   - name: what whoever sent the clip calls it, for messages; the file's name where it is `nil`.
  ///   - output: the path of the edited mp4; it appears whole or not at all, in place of what was
  ///     there.
  ///   - limits: what the clip may take; a clip beyond them is refused.
  ///   - presentation: what to put beside the edit for people to look at; nothing where it is `nil`.
  ///   - keeping: checkpoints to go on from and to leave, and earlier jobs' inversions. The result
  ///     has the same bits with them and without.
  ///   - describe: told in a sentence what clip it is, once that is known.
  ///   - note: told in a sentence what the person who sent the clip should know.
  ///   - wantsCheckpoint: asked at the end of every step that leaves something to keep: whether it is
  ///     to be kept at once, however long ago the last checkpoint was.
  ///   - checkpointed: called when a checkpoint is on the disk, with where it stands; before
  ///     `progress` is told of that step.
  ///   - progress: told at every step; what it throws ends the edit.
  /// - Throws: `ClipEditError`, `VideoFileError`, and what `progress` throws.
  public func run(
    input: String, named name: String? = nil, output: String,
    measuring measurement: Measurement = Measurement(),
    presentation: EditPresentation? = nil, limits: ClipLimits = ClipLimits(),
    keeping: EditKeeping = EditKeeping(), describe: (String) -> Void = { _ in },
    note: (String) -> Void = { _ in },
    wantsCheckpoint: () -> Bool = { false },
    checkpointed: (EditProgress) -> Void = { _ in }, progress: (EditProgress) throws -> Void
  ) throws -> EditFigures {
    try withoutActuallyEscaping(note) { note in
      try withoutActuallyEscaping(wantsCheckpoint) { wantsCheckpoint in
        try withoutActuallyEscaping(checkpointed) { checkpointed in
          try run(
            input: (input, name), output: output, measurement, presentation, limits,
            keeping: { fingerprint, seconds in
              keeping.isNothing
                ? nil
                : KeptWork(
                  keeping: keeping, fingerprint: try fingerprint(), steps: settings.steps,
                  seconds: seconds, note: note, wantsCheckpoint: wantsCheckpoint,
                  checkpointed: checkpointed)
            }, describe: describe, note: note, progress: progress)
        }
      }
    }
  }

  private func run(
    input: (path: String, name: String?), output: String, _ measurement: Measurement,
    _ presentation: EditPresentation?,
    _ limits: ClipLimits,
    keeping remembering: (() throws -> EditFingerprint, @escaping () -> [String: Double]) throws
      -> KeptWork?,
    describe: (String) -> Void, note tell: (String) -> Void, progress: (EditProgress) throws -> Void
  ) throws -> EditFigures {
    Tensor.limitIdleMemory(of: limits.memoryBytes)
    var notes: [String] = []
    func note(_ sentence: String) {
      notes.append(sentence)
      tell(sentence)
    }
    let clock = StageClock()
    func report(_ update: EditProgress) throws {
      clock.enter(update.stage)
      var update = update
      // What is left then is soon done, but not yet.
      update.share = update.share.map { $0 * (1 - Self.closingShare) }
      try progress(update)
    }
    model.notes(on: [
      "prompt": settings.prompt, "source_prompt": settings.sourcePrompt,
      "negative_prompt": settings.negativePrompt,
    ]).forEach(note)

    try report(EditProgress(stage: .decode, step: 0, steps: 1, frames: 0, share: 0))
    let clip = try decoded(input, limits)
    describe(clip.summary)
    clip.warnings.forEach(note)
    let written = try coding.options(for: clip, of: input, settings.outputSize)
    model.note(onSize: FrameSize(width: clip.width, height: clip.height)).map(note)
    let truth = try measurement.truth.map { try self.clip(ofTruth: $0, like: clip) }
    let edit = VideoEdit(
      model: model, settings: settings, reconstructs: measurement.reconstruction,
      measures: measurement.reconstruction && measurement.autoencoder)
    let work = try remembering({
      try EditFingerprint(settings: settings, model: model, clip: clip)
    }) {
      clock.seconds
    }
    let threads = Parallel.threads
    defer { Parallel.threads = threads }
    if let work {
      clock.add(work.secondsBefore)
      Parallel.threads = work.threads
      if Parallel.threads != work.threads {
        note("has fewer threads than before: the result may differ in its last bits")
      }
    }
    let edited = try FrameFile(folder: scratchFolder)
    // Where nothing but a reconstruction is asked for, that is the edit.
    let reconstructed =
      presentation != nil && edit.reconstructs && settings.method != .reconstruct
      ? try FrameFile(folder: scratchFolder) : nil
    let features =
      measurement.features
      ? try edit.featureMeasure(
        of: clip.pictures, scratchFolder: scratchFolder,
        followsMotion: EditMeasures.absenceOfMotion(clip.pictures) == nil) : nil
    var measures = EditMeasures(
      clip.pictures, truth: truth?.pictures, features: features)
    do {
      try edit.run(
        clip.pictures, scratchFolder: scratchFolder, memory: work, features: features,
        progress: report
      ) { output, frames, pictures in
        try measures.add(output, frames, pictures)
        switch output {
        case .autoencoded: break
        case .reconstructed:
          if let reconstructed { try pictures.pixels.withUnsafeBytes(reconstructed.append) }
        case .edited:
          guard pictures.isFinite else {
            throw ClipEditError.notFinite(guidance: settings.guidance)
          }
          try pictures.pixels.withUnsafeBytes(edited.append)
        }
      }
    } catch let error as DurableFileError {
      throw ClipEditError("what a long clip leaves for later steps: \(error)", mayPass: true)
    }

    let editedClip = clip.with(edited)
    let frames = clip.frameCount
    func report(_ stage: EditProgress.Stage, _ step: Int = 0, of steps: Int = 1) throws {
      clock.enter(stage)
      let stages = Double(Self.closing.firstIndex(of: stage) ?? 0)
      let share = (stages + Double(step) / Double(max(steps, 1))) / Double(Self.closing.count)
      try progress(
        EditProgress(
          stage: stage, step: step, steps: steps, frames: frames,
          share: 1 - Self.closingShare * (1 - share)))
    }
    try report(.encode)
    try video.deliver(editedClip, to: output, options: written, note: note)

    try report(.measure, of: frames)
    try measures.compareEmbeddings(of: editedClip.pictures, by: model, settings) {
      try report(.measure, $0, of: frames)
    }
    var figures = EditFigures(
      frames: frames, size: FrameSize(width: clip.width, height: clip.height),
      frameRate: clip.timing.frameRate.value, precision: PrecisionSetting(model.precision))
    measures.put(into: &figures)
    figures.inversionReused = work?.inversionReused ?? false

    if let presentation {
      let clips = PresentedClips(
        source: clip, reconstruction: reconstructed.map(clip.with), edit: editedClip, video,
        // The edit's own is cut already; what could not be read is not tried again.
        sound: SoundSource(path: output), scratchFolder: scratchFolder)
      var inForce = edit.settingsInForce
      let size = WorkingSize.exactly(figures.size)
      if size.isPossible { inForce.size = size }
      var page = EditReport(title: presentation.title, settings: settings)
      page.notes = notes
      page.origin = origin(
        writtenAt: written.size.map { FrameSize(width: $0.width, height: $0.height) }
          ?? figures.size)
      do {
        try presentation.deliver(page, inForce, clips, measures) { step, steps in
          try report(.present, step, of: steps)
        } figures: {
          figures.seconds = clock.seconds
          return figures
        }
      } catch let error where error is VideoFileError || error is ClipEditError {
        // The edit is there, and worth more than what tells of it.
        tell("the report could not be made: \(error)")
      }
    }
    figures.seconds = clock.seconds
    return figures
  }

  /// The stages after the edit itself, and how much of the whole they are taken for.
  private static let closing: [EditProgress.Stage] = [.encode, .measure, .present]
  private static let closingShare = 0.03

  /// What it was made with.
  private func origin(writtenAt size: FrameSize) -> [EditReport.Fact] {
    [
      EditReport.Fact("Program", "stemd \(ProgramVersion.text)"),
      EditReport.Fact("Model's contents", "\(model.identity.prefix(16))"),
      EditReport.Fact("Precision", model.precision.rawValue),
      EditReport.Fact("Threads", "\(Parallel.threads)"),
      EditReport.Fact("Computed by", ComputeIdentity.text),
      EditReport.Fact(
        "Coded in",
        "\(coding.codec.rawValue), \(size), "
          + (coding.quality.map { "quality \($0)" } ?? "usual quality")),
    ]
  }

  /// Refuses what is beyond the limits or this machine's memory, before the system kills the process
  /// for it.
  private func decoded(
    _ input: (path: String, name: String?), _ limits: ClipLimits
  ) throws -> StoredClip {
    let clip: StoredClip
    do {
      clip = try video.decode(
        path: input.path,
        options: limits.narrowed(settings.decodingOptions(size: workingSize, settings.frames)),
        storedIn: scratchFolder, isCancelled: VideoProcess.goesOn)
    } catch var error as VideoFileError {
      // Not where it is the scratch folder's.
      if let name = input.name, error.name == (input.path as NSString).lastPathComponent {
        error.name = name
      }
      throw limits.refusal(error) ?? error as any Error
    }
    let memory = VideoEdit(model: model, settings: settings).estimatedMemory(
      frames: clip.frameCount, height: clip.height, width: clip.width)
    if let refusal = limits.refusal(
      for: (clip.frameCount, clip.width, clip.height), needed: memory.total,
      forBases: memory.bases)
    {
      throw refusal
    }
    return clip
  }

  private var workingSize: DecodingOptions.Size {
    switch settings.size {
    case .exactly(let size): return .exactly(width: size.width, height: size.height)
    case .shorterSide(let side):
      return .shorterSide(side, multiple: model.autoencoder.scale)
    case nil: break
    }
    // As many pixels as the model was made for. Sides of four latent pixels keep all but the
    // deepest level of the UNet whole; the clip's shape is worth more.
    return .fitting(
      area: model.nativeSize * model.nativeSize,
      multiples: [4, 2, 1].map { $0 * model.autoencoder.scale })
  }

  private func clip(ofTruth path: String, like clip: StoredClip) throws -> StoredClip {
    let truth = try video.decode(
      path: path,
      options: settings.decodingOptions(
        size: .exactly(width: clip.width, height: clip.height), clip.frameCount),
      storedIn: scratchFolder, isCancelled: VideoProcess.goesOn)
    guard truth.frameCount == clip.frameCount else {
      throw ClipEditError(
        "the truth \(path) has only \(truth.frameCount) frames, but the clip has \(clip.frameCount)"
      )
    }
    return truth
  }
}

/// Why an edit did not come about, as a sentence.
public struct ClipEditError: Error, CustomStringConvertible, Sendable {
  public let description: String
  /// Whether another attempt may succeed.
  public let mayPass: Bool

  init(_ description: String, mayPass: Bool = false) {
    (self.description, self.mayPass) = (description, mayPass)
  }

  static func notFinite(guidance: Double) -> ClipEditError {
    ClipEditError(
      "the model gave numbers that are not finite: its weights are damaged, or the guidance of \(guidance) is too much for it"
    )
  }
}

extension Movie {
  /// As an edit reads them.
  var pictures: Pictures {
    Pictures(frames: frameCount, height: height, width: width) { frames in
      try withFrames(frames) {
        Tensor(pixels: $0, frames: frames.count, height: height, width: width)
      }
    }
  }
}

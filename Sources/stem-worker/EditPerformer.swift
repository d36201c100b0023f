import ClipEdit
import EditReport
import EditSettings
import Foundation
import JobQueue
import Messaging
import StableDiffusion
import Tensor
import VideoFile

/// Edits clips with the engine, and keeps the model at hand for the next one.
final class EditPerformer: EditPerforming {
  private var loaded: (origin: Origin, model: StableDiffusionModel)?
  private let remoteFolders: RemoteJobFolders?
  private let video = VideoProcess(
    program: URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath())

  /// What a model is made of.
  private struct Origin: Equatable {
    let model: URL
    /// Files of LoRAs, with their weights.
    let loras: [URL: Double]
    let precision: Precision
    /// Whoever puts another model in its place is to get that.
    private let stamp: String

    init(_ files: Assignment.SharedFiles, loras: [String: Double], _ precision: Precision) {
      model = URL(fileURLWithPath: files.modelFolder)
      self.loras = loras.reduce(into: [:]) { weights, lora in
        if let path = files.loras?[lora.key] { weights[URL(fileURLWithPath: path)] = lora.value }
      }
      self.precision = precision
      stamp = FileStamp.text(of: [model] + self.loras.keys.sorted { $0.path < $1.path })
    }
  }

  /// - Parameters:
  ///   - threads: `nil` for one on every processor. Counts for the calling thread, which must be
  ///     the one that performs.
  ///   - remoteFolders: For jobs whose files are elsewhere.
  init(threads: Int?, remoteFolders: RemoteJobFolders? = nil) {
    self.remoteFolders = remoteFolders
    if let threads { Parallel.threads = threads }
  }

  func perform(_ assignment: Assignment, _ reports: EditReports) throws -> EditFigures {
    // A worker may wait for days for its next job, and others want the memory meanwhile.
    defer { Tensor.releaseIdleMemory() }
    try reports.progress(EditProgress(stage: .load, step: 0, steps: 1, frames: 0))
    switch assignment.files {
    case .shared(let files):
      return try edit(assignment, files, reports) { reports.checkpointed($0, nil) }
    case .remote(let files):
      guard let remoteFolders else {
        throw EditFailure(message: "this worker gets no clips over its socket", mayPass: true)
      }
      let folder = try remoteFolders.folder(for: assignment, files)
      defer { folder.remove() }
      let figures = try edit(assignment, folder.files, reports) { progress in
        folder.putCheckpoint(progress, reports)
      }
      try folder.putResult()
      return figures
    }
  }

  private func edit(
    _ assignment: Assignment, _ files: Assignment.SharedFiles, _ reports: EditReports,
    checkpointed: (EditProgress) -> Void
  ) throws -> EditFigures {
    func failure(_ message: String, mayPass: Bool) -> EditFailure {
      let isFull = mayPass && DiskSpace.isExhausted(at: files.resultFolder)
      // The daemon knows only of its own disk.
      let reason: FailureReason =
        if case .shared = assignment.files { .diskFull } else { .workerUnfit }
      return EditFailure(message: message, mayPass: mayPass, reason: isFull ? reason : nil)
    }
    do {
      let precision = (assignment.settings.precision ?? .auto).resolved {
        reports.log(.notice, $0)
      }
      let edit = try ClipEdit(
        model: model(
          Origin(files, loras: assignment.settings.loras, precision),
          cacheFolder: files.cacheFolder, reports),
        settings: assignment.settings, video: video, scratchFolder: files.resultFolder,
        coding: assignment.video)
      return try edit.run(
        input: files.source, named: clipName(assignment, files),
        output: files.resultFolder + "/edited.mp4",
        measuring: .init(reconstruction: assignment.settings.reconstruction, autoencoder: false),
        presentation: presentation(of: assignment, in: files.resultFolder, precision),
        limits: assignment.limits,
        keeping: EditKeeping(
          checkpointFolder: files.checkpointFolder, interval: assignment.checkpointInterval,
          cacheFolder: files.cacheBytes > 0 ? files.cacheFolder : nil, cacheBytes: files.cacheBytes),
        describe: { reports.log(.info, $0) }, note: { reports.log(.notice, $0) },
        wantsCheckpoint: reports.wantsCheckpoint,
        checkpointed: checkpointed, progress: reports.progress)
    } catch let error as VideoFileError {
      throw failure(error.description, mayPass: error.mayPass)
    } catch let error as ClipEditError {
      throw failure(error.description, mayPass: error.mayPass)
    }
  }

  /// The clip as whoever sent it calls it; the file has a name of the daemon's.
  private func clipName(_ assignment: Assignment, _ files: Assignment.SharedFiles) -> String? {
    let suffix = URL(fileURLWithPath: files.source).pathExtension
    return assignment.name.map { suffix.isEmpty ? $0 : "\($0).\(suffix)" }
  }

  private func presentation(
    of assignment: Assignment, in folder: String, _ precision: Precision
  ) -> EditPresentation {
    EditPresentation(
      folder: folder, title: assignment.name ?? assignment.job.rawValue,
      origin: [
        EditReport.Fact("Job", assignment.job.rawValue),
        EditReport.Fact("Model", assignment.model),
      ]
    ) { [model = assignment.model] settings in
      // Named, so that another daemon with other defaults does the same.
      var settings = settings
      (settings.model, settings.precision) = (model, PrecisionSetting(precision))
      return EditPresentation.Wording(facts: settings.facts, sidecar: settings.sidecarText)
    }
  }

  /// - Parameter cacheFolder: where workers share weights.
  private func model(
    _ origin: Origin, cacheFolder: String, _ reports: EditReports
  ) throws -> StableDiffusionModel {
    if let loaded, loaded.origin == origin { return loaded.model }
    // The old model's memory is free before the new one takes its own.
    loaded = nil
    let start = ContinuousClock.now
    let (model, isPrepared) = try PreparedModelCache(
      folder: cacheFolder + "/weights", note: { reports.log(.notice, $0) },
      whileWaiting: {
        // Whether the job is cancelled.
        try reports.progress(EditProgress(stage: .load, step: 0, steps: 1, frames: 0))
      }
    ).model(
      StableDiffusionModel.source(at: origin.model, loras: origin.loras),
      precision: origin.precision)
    loaded = (origin, model)
    reports.log(
      .debug,
      "\(isPrepared ? "prepared" : "mapped") the model \(origin.model.path(percentEncoded: false)) in \(origin.precision) precision within \(durationText(seconds: (ContinuousClock.now - start) / .seconds(1)))"
    )
    return model
  }
}

enum DiskSpace {
  /// Less than this is as good as nothing for a clip.
  private static let least: UInt = 64 << 20

  static func isExhausted(at folder: String) -> Bool {
    var status = statvfs()
    return statvfs(folder, &status) == 0
      && (UInt(status.f_bavail) * UInt(status.f_frsize) < least
        || (status.f_files > 0 && status.f_favail < 16))
  }
}

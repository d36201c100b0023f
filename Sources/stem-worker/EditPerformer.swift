import ClipEdit
import EditSettings
import Foundation
import Messaging
import StableDiffusion
import Tensor
import VideoFile

/// Edits clips with the engine, and keeps the model at hand for the next one.
final class EditPerformer: EditPerforming {
  private var loaded: (folder: String, model: StableDiffusionModel)?
  private let video = VideoProcess(
    program: URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath())

  /// - Parameter threads: `nil` for one on every processor. Counts for the calling thread, which
  ///   must be the one that performs.
  init(threads: Int?) {
    if let threads { Parallel.threads = threads }
  }

  func perform(
    _ assignment: Assignment, log: (LogLevel, String) -> Void,
    progress: (EditProgress) throws -> Void
  ) throws -> EditFigures {
    // A worker may wait for days for its next job, and others want the memory meanwhile.
    defer { Tensor.releaseIdleMemory() }
    try progress(EditProgress(stage: .load, step: 0, steps: 1, frames: 0))
    guard case .shared(let files) = assignment.files else {
      throw EditFailure(message: "this worker does not see the clip", mayPass: true)
    }
    do {
      let edit = try ClipEdit(
        model: model(files.modelFolder, log), settings: assignment.settings, video: video)
      let output = URL(fileURLWithPath: files.resultFolder).appending(path: "edited.mp4").path(
        percentEncoded: false)
      return try edit.run(
        input: files.source, output: output, note: { log(.notice, $0) },
        progress: progress)
    } catch let error as VideoFileError {
      throw EditFailure(message: error.description, mayPass: error.mayPass)
    } catch let error as ClipEditError {
      throw EditFailure(message: error.description, mayPass: error.mayPass)
    }
  }

  private func model(_ folder: String, _ log: (LogLevel, String) -> Void) throws
    -> StableDiffusionModel
  {
    if let loaded, loaded.folder == folder { return loaded.model }
    // The old model's memory is free before the new one takes its own.
    loaded = nil
    let model = try StableDiffusionModel(folder: URL(fileURLWithPath: folder))
    loaded = (folder, model)
    log(.debug, "loaded the model \(folder)")
    return model
  }
}

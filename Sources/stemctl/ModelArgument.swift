import Foundation
import JobQueue
import ServiceConfiguration
import StableDiffusion

/// A model: a path as it is (anything with a slash), a bare name in the models' folder.
func modelURL(named model: String?) throws -> URL {
  if let model, model.contains("/") { return URL(fileURLWithPath: model) }
  return URL(fileURLWithPath: try modelFolders(nil).path(named: model))
}

/// A model with LoRAs of the models' folder.
func modelSource(named model: String?, loras: [String: Double]) throws -> any ModelSource {
  let files = try modelFolders(nil).loras(named: loras.keys)
  return try StableDiffusionModel.source(
    at: modelURL(named: model),
    loras: loras.reduce(into: [:]) { weights, lora in
      if let file = files[lora.key] { weights[URL(fileURLWithPath: file)] = lora.value }
    })
}

/// - Parameter path: `nil` for the folder that a stemd would take that was started here.
func modelFolders(_ path: String?) -> ModelFolders {
  let configured = try? ConfigurationSources().load().values.models
  return ModelFolders(
    path: path ?? configured ?? ModelFolders.defaultPath(), defaultName: ModelFolders.ownModel)
}

/// Finds out whether a video can be put where it is to be, before hours of work rather than after.
func requireWritableFolder(of output: String, for what: String) throws {
  let folder = URL(fileURLWithPath: output).deletingLastPathComponent().path(percentEncoded: false)
  guard access(folder, W_OK | X_OK) == 0 else {
    throw CommandFailure(
      "The \(what) mp4 cannot be put into \(folder): \(String(cString: strerror(errno))).")
  }
}

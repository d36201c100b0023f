import Foundation
import JobQueue
import ServiceConfiguration
import StableDiffusion

/// A model: a path (anything with a slash), with its file's ending or without, or a bare name in the
/// models' folder.
func modelURL(named model: String?) throws -> URL {
  guard let model, model.contains("/") else {
    return URL(fileURLWithPath: try modelFolders(nil).path(named: model))
  }
  let file = model + ".safetensors"
  return URL(
    fileURLWithPath: !FileManager.default.fileExists(atPath: model)
      && FileManager.default.fileExists(atPath: file) ? file : model)
}

/// A model with LoRAs of the folder that it lies in, or of the models' folder where that has none.
func modelSource(named model: String?, loras: [String: Double]) throws -> any ModelSource {
  let url = try modelURL(named: model)
  let beside = modelFolders(
    (url.path(percentEncoded: false) as NSString).deletingLastPathComponent)
  let folders = beside.loraNames.isEmpty ? modelFolders(nil) : beside
  let files = try folders.loras(named: loras.keys)
  return try StableDiffusionModel.source(
    at: url,
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

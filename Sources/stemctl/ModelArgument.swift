import Foundation
import JobQueue
import ServiceConfiguration
import StableDiffusion

/// A model: a path (anything with a slash), with its file's ending or without, or a bare name in the
/// models' folder.
func modelURL(named model: String?) throws -> URL {
  if let model, model.contains("/") {
    let file = model + ".safetensors"
    return URL(
      fileURLWithPath: !FileManager.default.fileExists(atPath: model)
        && FileManager.default.fileExists(atPath: file) ? file : model)
  }
  let folders = modelFolders(nil)
  do {
    return URL(fileURLWithPath: try folders.path(named: model))
  } catch let missing as MissingModel {
    throw CommandFailure(missing.description + hint(at: model, in: folders))
  }
}

/// Which models there are, where it is not said already which was probably meant.
private func hint(at model: String?, in folders: ModelFolders) -> String {
  let names = folders.names
  if let model, nearestName(to: model, among: names) != nil { return "" }
  // Nobody reads more.
  return names.isEmpty
    ? "; there are none in \(folders.path)"
    : "; there are \(names.prefix(10).joined(separator: ", "))\(names.count > 10 ? " …" : "")"
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

/// Makes a folder and those above it that are missing.
func makeFolder(_ path: String, mode: Int = 0o777) throws {
  do {
    try FileManager.default.createDirectory(
      atPath: path, withIntermediateDirectories: true,
      attributes: mode == 0o777 ? nil : [.posixPermissions: mode])
  } catch {
    let code = ((error as? CocoaError)?.underlying as? POSIXError)?.code.rawValue ?? EEXIST
    throw CommandFailure.system("The folder \(path) cannot be made", code)
  }
}

/// Finds out whether a file can be read, before a model of gigabytes is.
/// - Parameter what: the file in a word.
func requireReadable(_ path: String, as what: String) throws {
  guard access(path, R_OK) == 0 else {
    throw CommandFailure.system("The \(what) \(path) cannot be read")
  }
  var isFolder: ObjCBool = false
  if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue {
    throw CommandFailure.system("The \(what) \(path) cannot be read", EISDIR)
  }
}

/// Whether two paths lead to one file, or would.
func isSameFile(_ first: String, _ second: String) -> Bool {
  func whole(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }
  var (one, other) = (stat(), stat())
  return whole(first) == whole(second)
    || stat(first, &one) == 0 && stat(second, &other) == 0
      && (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// Finds out whether a file can be put where it is to be, before hours of work rather than after.
/// - Parameter what: the file in a few words.
func requireWritableFolder(of output: String, for what: String) throws {
  let folder = URL(fileURLWithPath: output).deletingLastPathComponent().path(percentEncoded: false)
  guard access(folder, W_OK | X_OK) == 0 else {
    throw CommandFailure.system("The \(what) cannot be put into \(folder)")
  }
}

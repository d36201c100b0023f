import Foundation
import JobQueue

/// The model's folder: a path as it is (anything with a slash), a bare name below the models folder.
func modelFolder(named model: String?) throws -> URL {
  if let model, model.contains("/") { return URL(fileURLWithPath: model) }
  return URL(
    fileURLWithPath: try ModelFolders(
      path: ModelFolders.defaultPath(), defaultName: ModelFolders.ownModel
    ).folder(named: model))
}

/// Finds out whether a video can be put where it is to be, before hours of work rather than after.
func requireWritableFolder(of output: String, for what: String) throws {
  let folder = URL(fileURLWithPath: output).deletingLastPathComponent().path(percentEncoded: false)
  guard access(folder, W_OK | X_OK) == 0 else {
    throw CommandFailure(
      "The \(what) mp4 cannot be put into \(folder): \(String(cString: strerror(errno))).")
  }
}

import Foundation
import StableDiffusion

/// The repository's own model.
enum TinyWorld {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Models/tiny-world")

  static let model = Result { try StableDiffusionModel(at: folder) }
}

/// A copy of the model folder that a test may damage; its large files are linked.
final class DamagedModel {
  let folder = FileManager.default.temporaryDirectory.appending(path: "model-\(UUID().uuidString)")

  init() throws {
    for case let file as URL in FileManager.default.enumerator(
      at: TinyWorld.folder, includingPropertiesForKeys: nil) ?? .init()
    {
      let path = file.path(percentEncoded: false).dropFirst(
        TinyWorld.folder.path(percentEncoded: false).count
      ).drop { $0 == "/" }
      let target = folder.appending(path: String(path))
      if file.hasDirectoryPath {
        try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
      } else if file.pathExtension == "safetensors" {
        try FileManager.default.createSymbolicLink(at: target, withDestinationURL: file)
      } else {
        try FileManager.default.copyItem(at: file, to: target)
      }
    }
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  func set(_ key: String, _ value: Any, in file: String) throws {
    let url = folder.appending(path: file)
    var json =
      try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any] ?? [:]
    json[key] = value
    try JSONSerialization.data(withJSONObject: json).write(to: url)
  }

  func remove(_ file: String) throws {
    try FileManager.default.removeItem(at: folder.appending(path: file))
  }

  /// What loading says.
  func complaint() -> String {
    do {
      _ = try StableDiffusionModel(at: folder)
      return "(it loads)"
    } catch { return "\(error)" }
  }
}
